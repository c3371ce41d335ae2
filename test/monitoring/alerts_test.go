package monitoring_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	. "github.com/onsi/gomega"
)

// notification is what Alertmanager sends to a webhook.
type notification struct {
	Receiver string  `json:"receiver"`
	Alerts   []alert `json:"alerts"`
}

type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func webhook(t *testing.T, told chan<- notification) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		var sent notification
		if err := json.NewDecoder(request.Body).Decode(&sent); err != nil {
			t.Error(err)
			return
		}
		select {
		case told <- sent:
		default: // nobody asks for that many
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/alerts"
}

// somebodyIsTold waits for the alert about Kafka: through rules, Prometheus, Alertmanager and its routes to the receiver.
func (s *site) somebodyIsTold(told <-chan notification) {
	s.Helper()
	s.eventually(func(g Gomega) {
		var sent notification
		g.Expect(told).To(Receive(&sent))
		g.Expect(sent.Alerts).To(ContainElement(And(
			HaveField("Status", "firing"),
			HaveField("Labels", And(HaveKeyWithValue("alertname", "ComponentNotReady"), HaveKeyWithValue("component", "kafka"),
				HaveKeyWithValue("namespace", namespace), HaveKeyWithValue("severity", "warning"))),
			HaveField("Annotations", And(HaveKeyWithValue("summary", "kafka of platform odh is not ready"), HaveKey("description"), HaveKey("runbook"))),
		)))
	})
}
