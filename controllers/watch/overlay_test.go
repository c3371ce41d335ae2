package watch

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func configMap(uid, version string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: "a", UID: types.UID(uid), ResourceVersion: version,
	}}
}

// TestOverlay shows what is read, step by step: the cache lags behind our own writes, and then overtakes them.
func TestOverlay(t *testing.T) {
	key := types.NamespacedName{Namespace: "ns", Name: "a"}
	cases := map[string]struct {
		steps  func(*Overlay[*corev1.ConfigMap], *time.Time)
		cached *corev1.ConfigMap
		want   string // resource version, empty for nothing
	}{
		"nothing was written": {
			steps:  func(*Overlay[*corev1.ConfigMap], *time.Time) {},
			cached: configMap("u", "5"), want: "5",
		},
		"the cache does not know the object that we created": {
			steps: func(o *Overlay[*corev1.ConfigMap], _ *time.Time) { o.Wrote(configMap("u", "7")) },
			want:  "7",
		},
		"the cache is older than our write": {
			steps:  func(o *Overlay[*corev1.ConfigMap], _ *time.Time) { o.Wrote(configMap("u", "10")) },
			cached: configMap("u", "9"), want: "10",
		},
		"somebody wrote after us": {
			steps:  func(o *Overlay[*corev1.ConfigMap], _ *time.Time) { o.Wrote(configMap("u", "10")) },
			cached: configMap("u", "11"), want: "11",
		},
		"answers that overtake each other": {
			steps: func(o *Overlay[*corev1.ConfigMap], _ *time.Time) {
				o.Wrote(configMap("u", "10"))
				o.Wrote(configMap("u", "9"))
			},
			want: "10",
		},
		"the watch delivered our write, and then its deletion": {
			steps: func(o *Overlay[*corev1.ConfigMap], _ *time.Time) {
				o.Wrote(configMap("u", "10"))
				o.Saw(configMap("u", "10"))
				o.Gone(configMap("u", "12"))
			},
			want: "",
		},
		"the watch delivers the deletion of the predecessor": {
			steps: func(o *Overlay[*corev1.ConfigMap], _ *time.Time) {
				o.Wrote(configMap("new", "10"))
				o.Gone(configMap("old", "8"))
			},
			want: "10",
		},
		"the watch never confirms": {
			steps: func(o *Overlay[*corev1.ConfigMap], now *time.Time) {
				o.Wrote(configMap("u", "10"))
				*now = now.Add(Confirmation + time.Second)
			},
			want: "",
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(0, 0)
			overlay := NewOverlay[*corev1.ConfigMap](func() time.Time { return now })
			test.steps(overlay, &now)
			got, ok := overlay.Newest(key, test.cached, test.cached != nil)
			switch {
			case !ok && test.want != "":
				t.Fatalf("found nothing, want resource version %s", test.want)
			case ok && got.ResourceVersion != test.want:
				t.Fatalf("got resource version %s, want %q", got.ResourceVersion, test.want)
			}
		})
	}
}
