package node

import "testing"

func TestExplain(t *testing.T) {
	for name, test := range map[string]struct {
		missing []Requirement
		want    string
	}{
		"packages are named in one command": {
			missing: []Requirement{{"runc", "runc"}, {"nft", "nftables"}},
			want:    "a real node needs runc, nft; install it: apt-get install --no-install-recommends runc nftables",
		},
		"no package makes a user root": {
			missing: []Requirement{{"root", ""}},
			want:    "a real node needs root",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Explain(test.missing); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
