package components

import (
	"slices"
	"testing"
)

func TestOrigin(t *testing.T) {
	for address, want := range map[string]string{
		"https://s3.example.com":            "https://s3.example.com",
		"https://S3.Example.com:443/bucket": "https://s3.example.com",
		"http://minio.data.svc:9000/":       "http://minio.data.svc:9000",
		"http://minio.data.svc:80":          "http://minio.data.svc",
		"https://[2001:db8::1]:8443":        "https://[2001:db8::1]:8443",
		"https://trusted@evil.example.com":  "https://evil.example.com",
		"s3.example.com":                    "",
		"://":                               "",
	} {
		if got := Origin(address); got != want {
			t.Errorf("Origin(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestForbidden(t *testing.T) {
	for name, test := range map[string]struct {
		allowed string
		sent    []string
		want    []string
	}{
		"nothing is sent":                      {},
		"to what nobody allowed":               {sent: []string{"https://s3.example.com"}, want: []string{"https://s3.example.com"}},
		"to what the owner allowed":            {allowed: "https://s3.example.com", sent: []string{"https://s3.example.com:443/"}},
		"to one of several":                    {allowed: "https://a.example.com, https://s3.example.com/x", sent: []string{"https://s3.example.com"}},
		"in plain HTTP, which is not the same": {allowed: "https://s3.example.com", sent: []string{"http://s3.example.com"}, want: []string{"http://s3.example.com"}},
		"to another port":                      {allowed: "https://s3.example.com", sent: []string{"https://s3.example.com:8443"}, want: []string{"https://s3.example.com:8443"}},
		"to a name that begins like it":        {allowed: "https://s3.example.com", sent: []string{"https://s3.example.com.evil.net"}, want: []string{"https://s3.example.com.evil.net"}},
		"to what is no URL":                    {allowed: "nonsense", sent: []string{"nonsense"}, want: []string{"nonsense"}},
		"to what is no URL, twice":             {sent: []string{"nonsense", "nonsense", "other"}, want: []string{"nonsense", "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Secret{Addresses: SplitMark(test.allowed)}).Forbidden(test.sent); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestInDomain(t *testing.T) {
	for _, test := range []struct {
		host, domain string
		want         bool
	}{
		{"jupyterhub-odh.apps.example.com", "apps.example.com", true},
		{"apps.example.com", "apps.example.com", true},
		{"evilapps.example.com", "apps.example.com", false},
		{"apps.example.com.evil.net", "apps.example.com", false},
		{"apps.example.com", "", false},
	} {
		if got := InDomain(test.host, test.domain); got != test.want {
			t.Errorf("InDomain(%q, %q) = %t", test.host, test.domain, got)
		}
	}
}
