package ceph

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"opendatahub.io/operator/components"
)

// release is a version of Ceph: 20.2.4.
type release [3]int

func (r release) String() string { return fmt.Sprintf("%d.%d.%d", r[0], r[1], r[2]) }

var releasePattern = regexp.MustCompile(`(\d+)\.(\d+)\.(\d+)`)

// parseRelease finds a version in a text such as 20.2.4-0, or in what a daemon says of itself. ok is false without one.
func parseRelease(text string) (r release, ok bool) {
	parts := releasePattern.FindStringSubmatch(text)
	if parts == nil {
		return r, false
	}
	for i := range r {
		r[i], _ = strconv.Atoi(parts[i+1]) // digits, by the pattern
	}
	return r, true
}

func compare(a, b release) int { return slices.Compare(a[:], b[:]) }

// chooseVersion is the version to run. Daemons write their data in the format of their version, read only that of the
// major version before, and never that of a later one.
func chooseVersion(wanted string, facts components.Facts) (string, error) {
	const path = field + ".version"
	chosen, _ := parseRelease(testedVersion)
	if wanted != "" {
		chosen, _ = parseRelease(wanted)
	}
	if chosen[0] == 20 && chosen[1] == 2 && chosen[2] == 0 {
		return "", components.Invalid(path, "20.2.0 can lose data; use %s", testedVersion)
	}
	oldest, newest, runs := running(facts)
	switch {
	case !runs:
		return chosen.String(), nil
	case wanted == "" && compare(chosen, newest) < 0:
		chosen = newest // somebody had raised it
	case compare(chosen, newest) < 0:
		return "", components.Invalid(path, "Ceph cannot go back from %s to %s: its data is written by the later version; use %s or later",
			newest, chosen, newest)
	}
	if chosen[0] > oldest[0]+1 {
		return "", components.Invalid(path, "Ceph cannot go from %s to %s: no major version may be left out; use a version %d.x.y first, "+
			"and wait until all daemons run it", oldest, chosen, oldest[0]+1)
	}
	return chosen.String(), nil
}

// running are the versions of the oldest and the newest daemon. An image that has not started yet has written nothing.
func running(facts components.Facts) (oldest, newest release, runs bool) {
	cluster := facts.Live.Find(Cluster.GroupKind, clusterName(facts.Platform))
	if cluster == nil {
		return oldest, newest, false
	}
	daemons, _, _ := unstructured.NestedMap(cluster.Object, "status", "ceph", "versions", "overall")
	var texts []string
	for text := range daemons {
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		text, _, _ := unstructured.NestedString(cluster.Object, "status", "version", "version")
		texts = append(texts, text)
	}
	var found []release
	for _, text := range texts {
		if r, ok := parseRelease(strings.TrimPrefix(text, "ceph version ")); ok {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return oldest, newest, false
	}
	return slices.MinFunc(found, compare), slices.MaxFunc(found, compare), true
}
