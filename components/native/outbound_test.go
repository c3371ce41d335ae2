package native

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
)

func TestOutbound(t *testing.T) {
	ofCluster := components.Proxy{HTTP: "http://cluster.example.com:3128", HTTPS: "http://cluster.example.com:3128", NoProxy: "10.0.0.0/16,.svc"}
	ofSpec := &v1alpha1.ProxySpec{HTTPSProxy: "https://[2001:db8::7]", NoProxy: []string{"intranet.example.com", ".example.org", "10.0.0.0/8"}}
	const inside = "localhost"
	for name, test := range map[string]struct {
		cluster components.Proxy
		spec    *v1alpha1.ProxySpec
		// env and backends, what is reached through what, and what Java is told.
		env      map[string]string
		backends []components.Backend
		through  map[string]*Proxy
		java     string
	}{
		"without a proxy": {through: map[string]*Proxy{"https://s3.example.com": nil}},
		"authorities of the cluster, but no proxy": {
			cluster: components.Proxy{Authorities: true, NoProxy: ".svc"}, through: map[string]*Proxy{"https://s3.example.com": nil},
		},
		"that of the cluster": {
			cluster: ofCluster,
			env: map[string]string{
				"http_proxy": "http://cluster.example.com:3128", "https_proxy": "http://cluster.example.com:3128",
				"no_proxy": "$(KUBERNETES_SERVICE_HOST),.cluster.local,.lab,.svc,10.0.0.0/16,127.0.0.1,::1,localhost,odh-hub",
			},
			backends: []components.Backend{{Host: "cluster.example.com", Port: 3128}},
			through: map[string]*Proxy{
				"https://s3.example.com":                      {Host: "cluster.example.com", Port: 3128},
				"http://s3.example.com:9000":                  {Host: "cluster.example.com", Port: 3128},
				"https://minio.data.svc:9000":                 nil,
				"https://minio.data.svc.cluster.local":        nil,
				"https://odh-mlflow.lab":                      nil,
				"https://10.0.3.4":                            nil,
				"https://10.1.3.4":                            {Host: "cluster.example.com", Port: 3128},
				"http://" + inside + ":5000":                  nil,
				"https://not a host/":                         nil,
				"https://minio.data.svc.cluster.example.com/": {Host: "cluster.example.com", Port: 3128},
			},
			java: "-Dhttp.proxyHost=cluster.example.com -Dhttp.proxyPort=3128 -Dhttps.proxyHost=cluster.example.com -Dhttps.proxyPort=3128 " +
				"-Dhttp.nonProxyHosts=*.cluster.local|*.lab|*.svc|127.0.0.1|::1|localhost|*.localhost",
		},
		"that of the spec instead": {
			cluster: ofCluster, spec: ofSpec,
			env: map[string]string{
				"https_proxy": "https://[2001:db8::7]",
				"no_proxy":    "$(KUBERNETES_SERVICE_HOST),.cluster.local,.example.org,.lab,.svc,10.0.0.0/8,127.0.0.1,::1,intranet.example.com,localhost,odh-hub",
			},
			backends: []components.Backend{{Host: "2001:db8::7", Port: 443}},
			through: map[string]*Proxy{
				"https://s3.example.com":          {Host: "2001:db8::7", Port: 443, Secure: true},
				"http://s3.example.com":           nil,
				"https://a.intranet.example.com":  nil,
				"https://other.example.org":       nil,
				"https://10.9.9.9":                nil,
				"https://intranet.example.com.de": {Host: "2001:db8::7", Port: 443, Secure: true},
			},
			java: "-Dhttps.proxyHost=2001:db8::7 -Dhttps.proxyPort=443 -Dhttp.nonProxyHosts=*.cluster.local|*.example.org|*.lab|*.svc|127.0.0.1|::1|" +
				"intranet.example.com|*.intranet.example.com|localhost|*.localhost",
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := NewOutbound(components.Facts{
				Platform: components.Platform{Name: "odh", Namespace: "lab"}, Cluster: components.Cluster{Proxy: test.cluster},
				Spec: v1alpha1.OpenDataHubSpec{Proxy: test.spec},
			})
			var env map[string]string
			for _, variable := range out.Env("odh-hub") {
				if env == nil {
					env = map[string]string{}
				}
				env[*variable.Name] = *variable.Value
			}
			want := map[string]string{}
			for name, value := range test.env {
				want[name], want[map[string]string{"http_proxy": "HTTP_PROXY", "https_proxy": "HTTPS_PROXY", "no_proxy": "NO_PROXY"}[name]] = value, value
			}
			if len(want) == 0 {
				want = nil
			}
			if diff := cmp.Diff(want, env); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			for _, variable := range out.SecureEnv() {
				if *variable.Name == "http_proxy" || *variable.Name == "HTTP_PROXY" {
					t.Errorf("plain HTTP goes through %s", *variable.Value)
				}
			}
			if diff := cmp.Diff(test.backends, out.Backends()); diff != "" {
				t.Errorf("backends (-want +got):\n%s", diff)
			}
			for address, want := range test.through {
				if diff := cmp.Diff(want, out.ProxyFor(address)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", address, diff)
				}
			}
			if got := out.JavaOptions(); got != test.java {
				t.Errorf("Java is told %q, want %q", got, test.java)
			}
		})
	}
}
