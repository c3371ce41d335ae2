package main

import (
	"strings"
	"testing"
)

func TestConfirm(t *testing.T) {
	for name, test := range map[string]struct {
		variable, typed string
		terminal        bool
		want            string // part of the error
	}{
		"a yes":                              {typed: "y\n", terminal: true},
		"a no":                               {typed: "n\n", terminal: true, want: "nothing was done"},
		"nothing is no":                      {typed: "\n", terminal: true, want: "nothing was done"},
		"the end is no":                      {terminal: true, want: "nothing was done"},
		"nobody can be asked":                {typed: "y\n", want: "set CONFIRM=yes"},
		"a variable answers":                 {variable: "yes"},
		"a variable says something else":     {variable: "1", want: `CONFIRM is "1", not yes`},
		"the variable, and not the question": {variable: "no", typed: "y\n", terminal: true, want: "nothing was done"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(envConfirm, test.variable)
			err := confirm(strings.NewReader(test.typed), test.terminal)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
