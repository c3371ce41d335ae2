package cmd

import (
	"strings"
	"testing"
)

func TestProfilesAreForTheMachineOnly(t *testing.T) {
	for _, command := range []string{"manager", "installer"} {
		for _, address := range []string{":6060", "0.0.0.0:6060", "10.0.0.1:6060", "localhost:6060", "127.0.0.1", "[::]:6060", "127.0.0.1:99999"} {
			_, _, err := opendatahub(t, "", command, "--kubeconfig=/nowhere", "--profile-bind-address="+address)
			if err == nil || !strings.Contains(err.Error(), "--profile-bind-address") {
				t.Errorf("%s takes %s: %v", command, address, err)
			}
		}
		for _, address := range []string{"127.0.0.1:6060", "[::1]:6060", ""} {
			_, _, err := opendatahub(t, "", command, "--kubeconfig=/nowhere", "--profile-bind-address="+address)
			if err == nil || strings.Contains(err.Error(), "--profile-bind-address") {
				t.Errorf("%s refuses %q: %v", command, address, err)
			}
		}
	}
}
