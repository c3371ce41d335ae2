package strimzi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func podName(kafka, pool *unstructured.Unstructured, id int64) string {
	return fmt.Sprintf("%s-%s-%d", kafka.GetName(), pool.GetName(), id)
}

// labelsOf are those of everything that is made of a pool: the Kafka's and the pool's own, and Strimzi's (KafkaPool.fromCrd).
func labelsOf(kafka, pool *unstructured.Unstructured) map[string]string {
	return merged(kafka.GetLabels(), pool.GetLabels(), map[string]string{
		labelCluster: kafka.GetName(), labelKind: "Kafka", labelName: kafka.GetName() + "-kafka", labelPool: pool.GetName(),
	})
}

func ownerOf(object *unstructured.Unstructured, controls bool) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: object.GetAPIVersion(), Kind: object.GetKind(), Name: object.GetName(), UID: object.GetUID(),
		Controller: &controls, BlockOwnerDeletion: new(false),
	}
}

// merged is without the labels that Strimzi leaves out (Labels.fromResource).
func merged(all ...map[string]string) map[string]string {
	result := map[string]string{}
	for _, labels := range all {
		for key, value := range labels {
			if key != "app.kubernetes.io/managed-by" && key != "app.kubernetes.io/part-of" && key != "app.kubernetes.io/name" {
				result[key] = value
			}
		}
	}
	return result
}

func condition(kind, reason, message string) map[string]any {
	entry := map[string]any{"type": kind, "status": "True", "lastTransitionTime": time.Now().UTC().Format(time.RFC3339Nano)}
	if kind == "Ready" && reason != "" {
		entry["status"] = "False"
	}
	if reason != "" {
		entry["reason"], entry["message"] = reason, message
	}
	return entry
}

func warnings(status map[string]any) []any {
	conditions, _ := status["conditions"].([]any)
	return conditions
}

func statusOf(object *unstructured.Unstructured) map[string]any {
	status, _, _ := unstructured.NestedMap(object.Object, "status")
	return status
}

// copyOver keeps what a failed reconciliation did not find out (KafkaAssemblyOperator.createOrUpdate).
func copyOver(object *unstructured.Unstructured, status map[string]any, names ...string) {
	before := statusOf(object)
	for _, name := range names {
		if _, ok := status[name]; !ok && before[name] != nil {
			status[name] = before[name]
		}
	}
}

// keepTimes keeps the times of conditions that are as they were (StatusDiff ignores them).
func keepTimes(before any, after map[string]any) {
	old, _ := before.(map[string]any)
	for _, entry := range warnings(after) {
		entry, _ := entry.(map[string]any)
		for _, earlier := range warnings(old) {
			earlier, _ := earlier.(map[string]any)
			if earlier["type"] == entry["type"] && earlier["status"] == entry["status"] && earlier["reason"] == entry["reason"] && earlier["message"] == entry["message"] {
				entry["lastTransitionTime"] = earlier["lastTransitionTime"]
			}
		}
	}
}

func same(before any, after map[string]any) bool {
	a, errA := json.Marshal(before)
	b, errB := json.Marshal(after)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

func digest(parts ...any) string {
	content, _ := json.Marshal(parts)
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:4])
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func text(object *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(object.Object, path...)
	return value
}

func texts(object *unstructured.Unstructured, path ...string) []string {
	value, _, _ := unstructured.NestedStringSlice(object.Object, path...)
	return value
}

// certificate is one that clients can read; nothing has its key.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBsDCCAVegAwIBAgIURKsNsOUaWTD8jE3svF4qEE1DWmwwCgYIKoZIzj0EAwIw
LTETMBEGA1UECgwKaW8uc3RyaW16aTEWMBQGA1UEAwwNY2x1c3Rlci1jYSB2MDAg
Fw0yNjExMjMxMjE5MThaGA8yMTI2MTAzMDEyMTkxOFowLTETMBEGA1UECgwKaW8u
c3RyaW16aTEWMBQGA1UEAwwNY2x1c3Rlci1jYSB2MDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABOaacNM6/Rx2Yomh7Aml+Hvj7BaVHTpygaLnor3HLyjAdy0OnzhH
CQn8Lvx8HMaXJCZ2aJH9ox4IlVOIzZexEzejUzBRMB0GA1UdDgQWBBSSqA//1d15
pZhazRK6LJsxvkeHsjAfBgNVHSMEGDAWgBSSqA//1d15pZhazRK6LJsxvkeHsjAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIG+w0a0fEzXGTbKOyrVJ
Kl/8/EkLXY4rR+LCoT7ePPMIAiBk2XCj2lHqVTs5sRJGQBqLEnGnOI0s1jNg76qI
czT4cw==
-----END CERTIFICATE-----
`
