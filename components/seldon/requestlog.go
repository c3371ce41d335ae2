package seldon

import (
	"cmp"

	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

// defaultTopic is that of the requests if the spec names none.
const defaultTopic = "seldon-requests"

// requestLog is where the executor sends what models are asked, and what they answer.
type requestLog struct {
	broker components.MessageBroker
	claim  components.TopicClaim
	// mode is Seldon's word for what is sent.
	mode string
	// secrets changes with those that the executor logs in with.
	secrets string
}

// topicClaim is the topic of the requests, and whether the spec asks for one.
func topicClaim(facts components.Facts) (components.TopicClaim, bool) {
	spec := specOf(facts).RequestLog
	if spec == nil {
		return components.TopicClaim{}, false
	}
	return components.TopicClaim{
		Purpose: name, Name: cmp.Or(spec.Topic, defaultTopic), Field: field + "requestLog.topic",
		Pods: map[string]string{labelManagedBy: managedBy},
	}, true
}

// newRequestLog is that of the spec; nil if it asks for none.
func newRequestLog(facts components.Facts) (*requestLog, error) {
	claim, wanted := topicClaim(facts)
	if !wanted {
		return nil, nil
	}
	broker := facts.Declared.MessageBroker
	if broker == nil {
		return nil, components.Invalid(field+"requestLog", "requests are logged to Kafka, and the platform has none; add the component kafka, or leave requestLog out")
	}
	mode := map[v1alpha1.SeldonLogContent]string{
		v1alpha1.SeldonLogRequests: "request", v1alpha1.SeldonLogResponses: "response",
	}[specOf(facts).RequestLog.Content]
	return &requestLog{
		broker: *broker, claim: claim, mode: cmp.Or(mode, "all"),
		secrets: native.SecretsDigest(facts, broker.CA.Secret, broker.Client(claim).Secret),
	}, nil
}

// requestLogReferences are the Secrets that Kafka's operator makes for the executor.
func requestLogReferences(facts components.Facts) []components.Reference {
	claim, wanted := topicClaim(facts)
	broker := facts.Declared.MessageBroker
	if !wanted || broker == nil {
		return nil
	}
	client := broker.Client(claim)
	return []components.Reference{
		{Field: field + "requestLog", Name: broker.CA.Secret, Keys: []string{broker.CA.Key}, Awaited: true},
		{Field: field + "requestLog", Name: client.Secret, Keys: []string{client.Certificate, client.Key}, Awaited: true},
	}
}

// env of the executor. It takes the authority of the brokers only together with a certificate of its own. A login with a password is not
// possible: brokers of Kafka 3.9 and later refuse the one that its library, librdkafka 1.8.2, makes with SCRAM.
// (executor/logger, executor/api/util/kafka.go, Seldon Core 1.17.1)
func (l *requestLog) env() []*core.EnvVarApplyConfiguration {
	client := l.broker.Client(l.claim)
	return []*core.EnvVarApplyConfiguration{
		native.Env("LOGGER_KAFKA_BROKER", l.broker.Bootstrap),
		native.Env("LOGGER_KAFKA_TOPIC", l.claim.Name),
		native.Env("KAFKA_SECURITY_PROTOCOL", "SSL"),
		native.SecretEnv("KAFKA_SSL_CA_CERT", l.broker.CA.Secret, l.broker.CA.Key),
		native.SecretEnv("KAFKA_SSL_CLIENT_CERT", client.Secret, client.Certificate),
		native.SecretEnv("KAFKA_SSL_CLIENT_KEY", client.Secret, client.Key),
	}
}
