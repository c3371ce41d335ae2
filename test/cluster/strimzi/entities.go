package strimzi

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// entityOperator is the id of the cluster that an object belongs to, or empty if its entity operator does not run: it starts
// after the brokers, and goes with the Kafka.
func (p *Player) entityOperator(ctx context.Context, object *unstructured.Unstructured) (string, error) {
	kafka, _, err := p.get(ctx, "Kafka", types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetLabels()[labelCluster]})
	if err != nil || kafka == nil {
		return "", err
	}
	return text(kafka, "status", "clusterId"), nil
}

// topic plays the topic operator (BatchingTopicController). It puts its finalizer on every topic that it manages. A topic that is
// deleted while it is managed is deleted in Kafka; the replicas of one that exists cannot change.
func (p *Player) topic(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	return again(p.lookAtTopic(ctx, request))
}

func (p *Player) lookAtTopic(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object, behaviour, err := p.get(ctx, "KafkaTopic", request.NamespacedName)
	if err != nil || object == nil || behaviour == Down || behaviour == Failing || paused(object) && object.GetDeletionTimestamp() == nil {
		if object != nil && paused(object) && behaviour == Working && err == nil {
			return reconcile.Result{}, p.setStatus(ctx, object, map[string]any{
				"observedGeneration": object.GetGeneration(), "conditions": []any{condition("ReconciliationPaused", "", "")},
			})
		}
		return reconcile.Result{}, err
	}
	cluster, err := p.entityOperator(ctx, object)
	if err != nil || cluster == "" {
		return reconcile.Result{}, err
	}
	if wait := p.late(behaviour, object); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	name := text(object, "spec", "topicName")
	if name == "" {
		name = object.GetName()
	}
	key := cluster + "/" + name
	managed := object.GetAnnotations()[annotationManaged] != "false"
	before := object.DeepCopy()
	switch {
	case object.GetDeletionTimestamp() != nil:
		if !controllerutil.RemoveFinalizer(object, topicFinalizer) {
			return reconcile.Result{}, nil
		}
		if managed && !paused(object) {
			p.mu.Lock()
			delete(p.topics, key)
			p.mu.Unlock()
		}
		return reconcile.Result{}, p.client.Patch(ctx, object, client.MergeFrom(before))
	case !managed:
		if controllerutil.RemoveFinalizer(object, topicFinalizer) {
			return reconcile.Result{}, p.client.Patch(ctx, object, client.MergeFrom(before))
		}
		return reconcile.Result{}, p.setStatus(ctx, object, map[string]any{
			"observedGeneration": object.GetGeneration(), "conditions": []any{condition("Unmanaged", "", "")},
		})
	case controllerutil.AddFinalizer(object, topicFinalizer):
		return reconcile.Result{}, p.client.Patch(ctx, object, client.MergeFrom(before))
	}

	wanted := topic{}
	wanted.partitions, _, _ = unstructured.NestedInt64(object.Object, "spec", "partitions")
	wanted.replicas, _, _ = unstructured.NestedInt64(object.Object, "spec", "replicas")
	p.mu.Lock()
	exists, ok := p.topics[key]
	if !ok {
		exists = wanted
	}
	status := map[string]any{"observedGeneration": object.GetGeneration(), "topicName": name, "topicId": digest(key)}
	switch {
	case wanted.replicas != 0 && wanted.replicas != exists.replicas:
		status["conditions"] = []any{condition("Ready", "NotSupported", "Replication factor change not supported, but required for partitions [0]")}
	case wanted.partitions < exists.partitions:
		status["conditions"] = []any{condition("Ready", "NotSupported", "Decreasing partitions not supported")}
	default:
		exists.partitions = wanted.partitions
		status["conditions"] = []any{condition("Ready", "", "")}
	}
	p.topics[key] = exists
	p.mu.Unlock()
	return reconcile.Result{}, p.setStatus(ctx, object, status)
}

// user plays the user operator: a Secret of the user's name, which belongs to the KafkaUser. There is no finalizer.
func (p *Player) user(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	return again(p.lookAtUser(ctx, request))
}

func (p *Player) lookAtUser(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object, behaviour, err := p.get(ctx, "KafkaUser", request.NamespacedName)
	if err != nil || object == nil || object.GetDeletionTimestamp() != nil || behaviour == Down || behaviour == Failing {
		return reconcile.Result{}, err
	}
	if paused(object) {
		return reconcile.Result{}, p.setStatus(ctx, object, map[string]any{
			"observedGeneration": object.GetGeneration(), "conditions": []any{condition("ReconciliationPaused", "", "")},
		})
	}
	cluster, err := p.entityOperator(ctx, object)
	if err != nil || cluster == "" {
		return reconcile.Result{}, err
	}
	if wait := p.late(behaviour, object); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	login := text(object, "spec", "authentication", "type")
	status := map[string]any{"observedGeneration": object.GetGeneration(), "username": object.GetName(), "secret": object.GetName()}
	data := map[string][]byte{}
	if login == "tls" {
		status["username"] = "CN=" + object.GetName()
		data = map[string][]byte{"ca.crt": []byte(certificate), "user.crt": []byte(certificate), "user.key": []byte("none")}
	} else {
		password := []byte(digest(object.GetUID(), object.GetName()))
		name := text(object, "spec", "authentication", "password", "valueFrom", "secretKeyRef", "name")
		if name != "" {
			source := &corev1.Secret{}
			err := p.client.Get(ctx, client.ObjectKey{Namespace: object.GetNamespace(), Name: name}, source)
			if apierrors.IsNotFound(err) {
				status["conditions"] = []any{condition("NotReady", "InvalidResourceException", fmt.Sprintf("Secret %s with requested user password does not exist.", name))}
				return reconcile.Result{}, p.setStatus(ctx, object, status)
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			password = source.Data[text(object, "spec", "authentication", "password", "valueFrom", "secretKeyRef", "key")]
		}
		data["password"] = password
		data["sasl.jaas.config"] = fmt.Appendf(nil, "org.apache.kafka.common.security.scram.ScramLoginModule required username=%q password=%q;", object.GetName(), password)
	}
	err = p.ensure(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: object.GetNamespace(), Name: object.GetName(), OwnerReferences: []metav1.OwnerReference{ownerOf(object, false)},
			Labels: merged(object.GetLabels(), map[string]string{labelKind: "KafkaUser"}),
		},
		Data: data,
	})
	if err != nil {
		return reconcile.Result{}, err
	}
	status["conditions"] = []any{condition("Ready", "", "")}
	return reconcile.Result{}, p.setStatus(ctx, object, status)
}
