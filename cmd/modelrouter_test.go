package cmd

import (
	"strings"
	"testing"
)

func TestModelRouterRefusesWhatItCannotServe(t *testing.T) {
	good := ModelRouterOptions{
		ProcessOptions: ProcessOptions{Namespace: "lab"}, Address: "127.0.0.1:8000",
		Models: []string{"iris=http://iris.lab.svc:8000"},
	}
	models, err := good.complete()
	if err != nil || models["iris"] == nil || models["iris"].Host != "iris.lab.svc:8000" {
		t.Errorf("%v, %v", models, err)
	}
	for name, test := range map[string]struct {
		change func(*ModelRouterOptions)
		want   string
	}{
		"no namespace":               {func(o *ModelRouterOptions) { o.Namespace = "" }, "--namespace"},
		"no models":                  {func(o *ModelRouterOptions) { o.Models = nil }, "--model"},
		"a model without an address": {func(o *ModelRouterOptions) { o.Models = []string{"iris"} }, "iris=http://"},
		"a model without a name":     {func(o *ModelRouterOptions) { o.Models = []string{"=http://iris.lab.svc"} }, "iris=http://"},
		"a name with a path":         {func(o *ModelRouterOptions) { o.Models = []string{"../iris=http://iris.lab.svc"} }, "iris=http://"},
		"another protocol":           {func(o *ModelRouterOptions) { o.Models = []string{"iris=ftp://iris.lab.svc"} }, "iris=http://"},
		"an address that others see": {func(o *ModelRouterOptions) { o.Address = "0.0.0.0:8000" }, "loopback"},
		"no address":                 {func(o *ModelRouterOptions) { o.Address = "" }, "--bind-address"},
	} {
		options := good
		test.change(&options)
		if _, err := options.complete(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
