package cmd

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLoginIsWhole(t *testing.T) {
	for name, test := range map[string]struct {
		data map[string][]byte
		user string
		want string
	}{
		"both in the Secret": {map[string][]byte{"username": []byte("ada"), "password": []byte("pw")}, "", "username: ada\npassword: pw\n(from Secret login)\n"},
		"a password only":    {map[string][]byte{"password": []byte("pw"), "sasl.jaas.config": []byte("x")}, "odh-kafka-admin", "username: odh-kafka-admin\npassword: pw\n(from Secret login)\n"},
		"no password": {map[string][]byte{"SecretKey": []byte("x"), "AccessKey": []byte("y")}, "",
			"Secret login has the keys AccessKey, SecretKey: kubectl get secret login -n lab -o yaml shows them in base64.\n"},
		"a certificate": {map[string][]byte{"user.crt": []byte("x")}, "odh-kafka-admin",
			"username: odh-kafka-admin\nSecret login has the keys user.crt: kubectl get secret login -n lab -o yaml shows them in base64.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			writeLogin(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "login"}, Data: test.data}, test.user, &out)
			if out.String() != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", out.String(), test.want)
			}
		})
	}
}
