package inspect

import "testing"

func TestValuesOfSecretsAreTakenOut(t *testing.T) {
	g := &Gathered{Files: map[string][]byte{
		"a.log": []byte("login with hunter22 and hunter22-long; base64 aHVudGVyMjI=; key line0000000000000000000001\\nline0000000000000000000002; true"),
	}}
	g.hide([]byte("hunter22\n"))
	g.hide([]byte("hunter22-long"))
	g.hide([]byte("line0000000000000000000001\nline0000000000000000000002\n"))
	g.hide([]byte("true"))
	g.scrub()
	want := "login with " + removed + " and " + removed + "; base64 " + removed + "; key " + removed + `\n` + removed + "; true"
	if got := string(g.Files["a.log"]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
