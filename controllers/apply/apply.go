package apply

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/cluster"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/controllers/watch"
)

// Objects is what is known of the objects that an Applier writes, as last seen or written. *watch.Children is one.
type Objects interface {
	// Get returns nil when there is no such object.
	Get(ctx context.Context, kind schema.GroupVersionKind, key types.NamespacedName) (*unstructured.Unstructured, error)
	// List returns the objects of a component of a platform.
	List(ctx context.Context, kind schema.GroupVersionKind, platform types.NamespacedName, component string) ([]*unstructured.Unstructured, error)
	// Wrote records the answer to a write.
	Wrote(object *unstructured.Unstructured)
	// Deleting records that a deletion was asked for, and returns whether it had been before.
	Deleting(object *unstructured.Unstructured) bool
	// NotDeleting takes Deleting back.
	NotDeleting(object *unstructured.Unstructured)
}

var _ Objects = (*watch.Children)(nil)

// Action is what was done to an object.
type Action string

// The actions.
const (
	// Created: the object did not exist.
	Created Action = "Created"
	// Configured: what we want of the object changed.
	Configured Action = "Configured"
	// Restored: somebody else had changed or deleted the object.
	Restored Action = "Restored"
	// Deleted: the object is no longer wanted.
	Deleted Action = "Deleted"
	// Untied: an owner reference was taken off data that must stay.
	Untied Action = "Untied"
)

// Change is something that was done to an object.
type Change struct {
	Action    Action
	Kind      string
	Namespace string
	Name      string
	// Owner is whom data was untied from, as in "KafkaNodePool kafka-broker".
	Owner string
}

// Applier writes objects with server-side apply, each at most once per change of what is wanted or of what is there.
type Applier struct {
	// Client writes. Reads go through Children.
	Client client.Client
	// Reader reads from the API server itself, for objects that the filtered cache cannot know.
	Reader client.Reader
	// Children is what the cluster holds.
	Children Objects
	// Claim decides about an object that exists and that Children does not know: nil lets it be taken over. Without it, an
	// object that the field manager never wrote is a conflict with the platform.
	Claim func(manager string, want Prepared, existing *unstructured.Unstructured) error
	// Now is the clock, time.Now by default.
	Now func() time.Time

	receipts sync.Map // receiptKey → receipt
	holds    sync.Map // component and platform → hold
}

type receiptKey struct {
	manager string
	gvk     schema.GroupVersionKind
	name    types.NamespacedName
}

// receipt is what the API server said after our last apply.
type receipt struct {
	uid    types.UID
	hash   string
	fields [sha256.Size]byte // digest of the field set
	// canonical is the digest of the field set in canonical form: a watch may deliver the same set as a different text.
	canonical [sha256.Size]byte
}

func receiptOf(object *unstructured.Unstructured, hash, fields string) receipt {
	return receipt{
		uid: object.GetUID(), hash: hash,
		fields: sha256.Sum256([]byte(fields)), canonical: sha256.Sum256([]byte(watch.CanonicalFieldSet(fields))),
	}
}

func (r receipt) sameFields(fields string) bool {
	return r.fields == sha256.Sum256([]byte(fields)) || r.canonical == sha256.Sum256([]byte(watch.CanonicalFieldSet(fields)))
}

// Manager is the field manager of a component.
func Manager(component string) string { return watch.ManagerPrefix + "-" + component }

// Generate creates the Secrets that have generated keys and do not exist, and fills in missing keys. It reports whether it
// wrote anything: what is rendered may depend on it.
func (a *Applier) Generate(ctx context.Context, manager string, prepared []Prepared) ([]Change, error) {
	var changes []Change
	for _, p := range prepared {
		if len(p.GeneratedKeys()) == 0 {
			continue
		}
		live, err := a.live(ctx, p)
		if err != nil {
			return changes, err
		}
		switch {
		case live == nil:
			if err := a.createGenerated(ctx, manager, p); err != nil {
				return changes, err
			}
			changes = append(changes, p.change(Created))
		case (lacks(live, p.GeneratedKeys()) || p.outdated(live)) && live.GetDeletionTimestamp() == nil:
			if err := a.fillGenerated(ctx, manager, live, p); err != nil {
				return changes, err
			}
			changes = append(changes, p.change(Configured))
		}
	}
	return changes, nil
}

// Apply brings the objects to the desired state. An object that is in it already costs no request. All objects are tried; the
// error joins what went wrong, in order.
func (a *Applier) Apply(ctx context.Context, manager string, prepared []Prepared) ([]Change, error) {
	var changes []Change
	var failed []error
	for _, p := range prepared {
		change, err := a.apply(ctx, manager, p)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if change != nil {
			changes = append(changes, *change)
		}
	}
	return changes, join(failed)
}

func (a *Applier) apply(ctx context.Context, manager string, p Prepared) (*Change, error) {
	if p.Subresource != "" {
		return a.applySubresource(ctx, manager, p)
	}
	live, err := a.live(ctx, p)
	if err != nil {
		return nil, err
	}
	if live != nil && a.upToDate(manager, live, p) {
		return nil, nil
	}

	if live != nil {
		if err := ofAnother(live, manager, p); err != nil {
			return nil, err
		}
		return a.write(ctx, manager, p, live, true)
	}
	change, err := a.write(ctx, manager, p, nil, false)
	if !apierrors.IsConflict(err) {
		return change, err
	}
	exists, err := a.claim(ctx, manager, p)
	if err != nil {
		return nil, err
	}
	return a.write(ctx, manager, p, nil, exists)
}

// neverVersion is a resource version that no object has: etcd counts from one, and its first write makes it two. An apply that names
// it creates the object, or fails with a conflict when there is one. The API has no other apply that does not take over what
// others made; asking first would be one request more for every object, and would leave a moment in between.
const neverVersion = "1"

// write applies an object. live is nil when the cache does not know it, although it may exist. Unless exists it is created, and a
// conflict is returned when it does exist.
func (a *Applier) write(ctx context.Context, manager string, p Prepared, live *unstructured.Unstructured, exists bool) (*Change, error) {
	options := []client.ApplyOption{client.FieldOwner(manager)}
	if exists {
		options = append(options, client.ForceOwnership)
	}
	answer := p.Object.DeepCopy()
	if !exists {
		answer.SetResourceVersion(neverVersion)
	}
	if err := a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(answer), options...); err != nil {
		return nil, explain(fmt.Errorf("applying %s: %w", p, err))
	}

	key := p.receiptKey(manager)
	_, known := a.receipts.Load(key)
	fields, _ := fieldsOf(answer, manager)
	a.receipts.Store(key, receiptOf(answer, p.Hash, fields))
	a.Children.Wrote(answer)

	change := p.change(Configured)
	switch {
	case !exists && !known:
		change.Action = Created
	case live == nil || live.GetAnnotations()[HashAnnotation] == p.Hash:
		change.Action = Restored
	}
	return &change, nil
}

func (a *Applier) applySubresource(ctx context.Context, manager string, p Prepared) (*Change, error) {
	answer := p.Object.DeepCopy()
	err := a.Client.SubResource(p.Subresource).Apply(ctx, client.ApplyConfigurationFromUnstructured(answer),
		client.FieldOwner(manager), client.ForceOwnership)
	if err != nil {
		return nil, explain(fmt.Errorf("restoring the %s of %s: %w", p.Subresource, p, err))
	}
	a.Children.Wrote(answer)
	change := p.change(Configured)
	return &change, nil
}

// UpToDate is whether Apply would find nothing to do, as far as the API server's record of the object tells.
func (a *Applier) UpToDate(manager string, live *unstructured.Unstructured, p Prepared) bool {
	return a.upToDate(manager, live, p)
}

// upToDate is whether an apply would change nothing.
func (a *Applier) upToDate(manager string, live *unstructured.Unstructured, p Prepared) bool {
	if live.GetDeletionTimestamp() != nil {
		return true // it is recreated when it is gone
	}
	if live.GetAnnotations()[HashAnnotation] != p.Hash {
		return false
	}
	if p.generated() {
		// Created by a plain create: its random values are not ours to render, and are owned by no apply.
		return hasMetadata(live, p.Object) && !lacks(live, p.renderedKeys())
	}
	fields, ok := fieldsOf(live, manager)
	if !ok {
		return false
	}
	if known, ok := a.receipts.Load(p.receiptKey(manager)); ok {
		known := known.(receipt)
		if known.uid == live.GetUID() && known.hash == p.Hash {
			return known.sameFields(fields)
		}
	}
	return parseFields(fields).coversObject(p.Object)
}

// hasMetadata is whether the labels, annotations and owners of want are on the object.
func hasMetadata(object, want *unstructured.Unstructured) bool {
	for key, value := range want.GetLabels() {
		if object.GetLabels()[key] != value {
			return false
		}
	}
	for key, value := range want.GetAnnotations() {
		if object.GetAnnotations()[key] != value {
			return false
		}
	}
	owners := map[types.UID]bool{}
	for _, owner := range object.GetOwnerReferences() {
		owners[owner.UID] = true
	}
	for _, owner := range want.GetOwnerReferences() {
		if !owners[owner.UID] {
			return false
		}
	}
	return true
}

// claim looks at the API server for an object that the cache does not know. It reports whether the object exists and
// is ours, having lost its labels; somebody else's is a conflict and is not touched.
func (a *Applier) claim(ctx context.Context, manager string, p Prepared) (exists bool, err error) {
	existing := &unstructured.Unstructured{}
	existing.SetGroupVersionKind(p.Object.GroupVersionKind())
	err = a.Reader.Get(ctx, client.ObjectKeyFromObject(p.Object), existing)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, explain(fmt.Errorf("reading %s: %w", p, err))
	case a.Claim != nil:
		return true, a.Claim(manager, p, existing)
	default:
		return IsOurs(existing, manager), Refusal(existing, manager, p)
	}
}

// Refusal is why Apply would leave an object as it is, however it differs, or nil: it is somebody else's.
func Refusal(existing *unstructured.Unstructured, manager string, p Prepared) error {
	if IsOurs(existing, manager) {
		return ofAnother(existing, manager, p)
	}
	return &components.Failure{Reason: v1alpha1.ReasonConflict, Err: fmt.Errorf(
		"%s exists already and is not the platform's: delete or rename it, or give the OpenDataHub another name", p)}
}

func (a *Applier) live(ctx context.Context, p Prepared) (*unstructured.Unstructured, error) {
	return a.Children.Get(ctx, p.Object.GroupVersionKind(), client.ObjectKeyFromObject(p.Object))
}

func (a *Applier) createGenerated(ctx context.Context, manager string, p Prepared) error {
	secret := p.Object.DeepCopy()
	values, err := p.values(nil)
	if err != nil {
		return err
	}
	rendered, _, err := unstructured.NestedMap(secret.Object, "data")
	if err != nil {
		return fmt.Errorf("generating %s: %w", p, err)
	}
	for key, value := range rendered {
		if _, generated := values[key]; !generated {
			values[key] = value
		}
	}
	if err := unstructured.SetNestedMap(secret.Object, values, "data"); err != nil {
		return fmt.Errorf("generating %s: %w", p, err)
	}
	if err := p.addHtpasswd(secret); err != nil {
		return err
	}
	if err := a.copyInto(ctx, p, secret); err != nil {
		return err
	}
	err = a.Client.Create(ctx, secret, client.FieldOwner(manager))
	if apierrors.IsAlreadyExists(err) {
		// Ours, but its labels were taken off: put them back, the values stay.
		if _, err := a.claim(ctx, manager, p); err != nil {
			return err
		}
		secret = p.Object.DeepCopy()
		err = a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(secret), client.FieldOwner(manager), client.ForceOwnership)
	}
	if err != nil {
		return explain(fmt.Errorf("creating %s: %w", p, err))
	}
	a.Children.Wrote(secret)
	return nil
}

func (a *Applier) fillGenerated(ctx context.Context, manager string, live *unstructured.Unstructured, p Prepared) error {
	data, err := p.values(live)
	if err != nil {
		return err
	}
	// The resource version keeps two writers from filling the same key.
	metadata := map[string]any{"resourceVersion": live.GetResourceVersion()}
	if p.Htpasswd != nil {
		if err := a.fillHtpasswd(ctx, p, data, metadata); err != nil {
			return err
		}
	}
	if err := a.fillCopies(ctx, p, data, metadata); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"metadata": metadata, "data": data})
	if err != nil {
		return fmt.Errorf("filling Secret %s: %w", live.GetName(), err)
	}
	answer := live.DeepCopy()
	if err := a.Client.Patch(ctx, answer, client.RawPatch(types.MergePatchType, body), client.FieldOwner(manager)); err != nil {
		return explain(fmt.Errorf("filling Secret %s/%s: %w", live.GetNamespace(), live.GetName(), err))
	}
	a.Children.Wrote(answer)
	return nil
}

// fillHtpasswd reads the passwords, which the cache does not hold, and adds the file to data.
func (a *Applier) fillHtpasswd(ctx context.Context, p Prepared, data, metadata map[string]any) error {
	secret := &unstructured.Unstructured{}
	secret.SetGroupVersionKind(p.Object.GroupVersionKind())
	if err := a.Reader.Get(ctx, client.ObjectKeyFromObject(p.Object), secret); err != nil {
		return explain(fmt.Errorf("reading the passwords of %s: %w", p, err))
	}
	metadata["resourceVersion"] = secret.GetResourceVersion()
	for key, value := range data {
		if err := unstructured.SetNestedField(secret.Object, value, "data", key); err != nil {
			return fmt.Errorf("filling %s: %w", p, err)
		}
	}
	if err := p.addHtpasswd(secret); err != nil {
		return err
	}
	data[p.Htpasswd.Key], _, _ = unstructured.NestedString(secret.Object, "data", p.Htpasswd.Key)
	metadata["annotations"] = map[string]any{passwordsAnnotation: secret.GetAnnotations()[passwordsAnnotation]}
	return nil
}

// fillCopies adds what is copied to data, and to metadata of what it was made.
func (a *Applier) fillCopies(ctx context.Context, p Prepared, data, metadata map[string]any) error {
	if p.copied == "" {
		return nil
	}
	copied := &unstructured.Unstructured{Object: map[string]any{}}
	copied.SetGroupVersionKind(p.Object.GroupVersionKind())
	if err := a.copyInto(ctx, p, copied); err != nil {
		return err
	}
	values, _, _ := unstructured.NestedMap(copied.Object, "data")
	maps.Copy(data, values)
	annotations, ok := metadata["annotations"].(map[string]any)
	if !ok {
		annotations = map[string]any{}
		metadata["annotations"] = annotations
	}
	annotations[copiesAnnotation] = copied.GetAnnotations()[copiesAnnotation]
	return nil
}

// copyInto reads what is copied, which the cache does not hold, and adds it to a Secret.
func (a *Applier) copyInto(ctx context.Context, p Prepared, into *unstructured.Unstructured) error {
	if p.copied == "" {
		return nil
	}
	sources := map[string]map[string]string{}
	for _, c := range p.Copies {
		if _, ok := sources[c.Secret]; !ok {
			source := &unstructured.Unstructured{}
			source.SetGroupVersionKind(p.Object.GroupVersionKind())
			if err := a.Reader.Get(ctx, client.ObjectKey{Namespace: p.Object.GetNamespace(), Name: c.Secret}, source); err != nil {
				return explain(fmt.Errorf("reading Secret %s for %s: %w", c.Secret, p, err))
			}
			sources[c.Secret], _, _ = unstructured.NestedStringMap(source.Object, "data")
		}
		value, ok := sources[c.Secret][c.From]
		if !ok {
			return fmt.Errorf("the Secret %s has no longer the key %s, which %s takes", c.Secret, c.From, p)
		}
		if err := unstructured.SetNestedField(into.Object, value, "data", c.Key); err != nil {
			return fmt.Errorf("filling %s: %w", p, err)
		}
	}
	into.SetAnnotations(components.Merge(into.GetAnnotations(), map[string]string{copiesAnnotation: p.copies(into)}))
	return nil
}

// String names the object for people: "Deployment opendatahub/odh-kafka".
func (p Prepared) String() string {
	if p.Object.GetNamespace() == "" {
		return p.Object.GetKind() + " " + p.Object.GetName()
	}
	return p.Object.GetKind() + " " + p.Object.GetNamespace() + "/" + p.Object.GetName()
}

func (p Prepared) change(action Action) Change {
	return Change{Action: action, Kind: p.Object.GetKind(), Namespace: p.Object.GetNamespace(), Name: p.Object.GetName()}
}

func (p Prepared) receiptKey(manager string) receiptKey {
	return receiptKey{manager: manager, gvk: p.Object.GroupVersionKind(), name: client.ObjectKeyFromObject(p.Object)}
}

// explain gives an API error the reason that people can act on.
func explain(err error) error {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return err
	}
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return &components.Failure{Reason: v1alpha1.ReasonRemoving, Terminal: true,
			Err: errors.New("the namespace is being deleted")}
	case apierrors.IsConflict(err) && apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict):
		return &components.Failure{Reason: v1alpha1.ReasonConflict, Err: err}
	case isImmutable(status.Status()):
		return &components.Failure{Reason: v1alpha1.ReasonImmutableFieldChanged, Terminal: true, Err: fmt.Errorf(
			"%w; take the change back, or delete the object to have it recreated (what it holds is then lost)", err)}
	case len(cluster.Undeclared(err)) > 0:
		return &components.Failure{Reason: v1alpha1.ReasonVersionNotSupported, Err: err}
	case status.Status().Code == http.StatusNotFound && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return &components.Failure{Reason: v1alpha1.ReasonAPINotInstalled, Err: err}
	default:
		return err
	}
}

func isImmutable(status metav1.Status) bool {
	if status.Reason != metav1.StatusReasonInvalid && status.Reason != metav1.StatusReasonForbidden {
		return false
	}
	for _, phrase := range []string{"immutable", "updates to", "can not be less than", "may not be changed", "forbidden from being changed"} {
		if strings.Contains(status.Message, phrase) {
			return true
		}
	}
	return false
}

// join keeps the reason of the first failure that has one, and all texts.
func join(failed []error) error {
	if len(failed) < 2 {
		return errors.Join(failed...)
	}
	joined := errors.Join(failed...)
	texts := make([]string, 0, len(failed))
	for _, err := range failed {
		texts = append(texts, err.Error())
	}
	text := strings.Join(texts, "; ")
	var failure *components.Failure
	if errors.As(joined, &failure) {
		// Retrying may still help the others.
		return &components.Failure{Reason: failure.Reason, Err: errors.New(text)}
	}
	return &joinedError{text: text, errs: failed}
}

type joinedError struct {
	text string
	errs []error
}

func (e *joinedError) Error() string   { return e.text }
func (e *joinedError) Unwrap() []error { return e.errs }
