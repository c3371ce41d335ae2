package cmd

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestPlatformMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	ready := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ready", Help: "h"}, []string{"namespace", "name"})
	secret := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "only_theirs", Help: "h"}, []string{"namespace"})
	process := prometheus.NewGauge(prometheus.GaugeOpts{Name: "memory", Help: "h"})
	registry.MustRegister(ready, secret, process)
	ready.WithLabelValues("lab", "odh").Set(1)
	ready.WithLabelValues("laboratory", "odh").Set(1)
	ready.WithLabelValues("theirs", "odh").Set(0)
	secret.WithLabelValues("theirs").Inc()

	for path, want := range map[string][]string{
		"/metrics/lab":       {"memory 0", `ready{name="odh",namespace="lab"} 1`},
		"/metrics/theirs":    {"memory 0", `only_theirs{namespace="theirs"} 1`, `ready{name="odh",namespace="theirs"} 0`},
		"/metrics/nobody":    {"memory 0"},
		"/metrics/":          {"memory 0"},
		"/metrics/lab/../..": {"memory 0"},
	} {
		answer := httptest.NewRecorder()
		platformMetrics(registry).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		var got []string
		for line := range strings.Lines(answer.Body.String()) {
			if !strings.HasPrefix(line, "#") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}
