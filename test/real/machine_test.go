package real_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var listAll = metav1.ListOptions{}

// machineState is what a cluster could leave behind on the machine.
func machineState(t *testing.T) map[string][]string {
	t.Helper()
	output := func(name string, args ...string) []string {
		content, err := exec.Command(name, args...).Output()
		if err != nil {
			t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
		}
		var lines []string
		for line := range strings.Lines(string(content)) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return lines
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	cgroups, _ := filepath.Glob("/sys/fs/cgroup/*/opendatahub-*")
	slices.Sort(cgroups)
	return map[string][]string{
		"links":              output("ip", "-brief", "link"),
		"routes":             output("ip", "route"),
		"rules":              output("nft", "list", "ruleset"),
		"mounts":             strings.Split(strings.TrimSpace(string(mounts)), "\n"),
		"network namespaces": output("lsns", "--type", "net", "--noheadings", "--output", "NS"),
		"loop devices":       output("losetup", "--list", "--noheadings", "--output", "BACK-FILE"),
		"cgroups":            cgroups,
	}
}
