package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var crdKind = apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition")

// InstallCRDs applies the CustomResourceDefinitions in the YAML files of folders, other objects are skipped, and returns when they are
// Established and discovery serves them.
func (c *Cluster) InstallCRDs(ctx context.Context, folders ...string) error {
	for _, folder := range folders {
		if err := c.InstallCRDFiles(ctx, os.DirFS(folder)); err != nil {
			return fmt.Errorf("installing CRDs of %s: %w", folder, err)
		}
	}
	return nil
}

// InstallCRDFiles is [Cluster.InstallCRDs] for the files of a file system.
func (c *Cluster) InstallCRDFiles(ctx context.Context, files fs.FS) error {
	if err := c.installCRDs(ctx, files); err != nil {
		return err
	}
	return c.syncStages(ctx)
}

// InstallCRDObjects is [Cluster.InstallCRDs] for CRDs made in Go, such as those of package standin.
func (c *Cluster) InstallCRDObjects(ctx context.Context, crds ...*apiextensionsv1.CustomResourceDefinition) error {
	objects := make([]*unstructured.Unstructured, 0, len(crds))
	for _, crd := range crds {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(crd)
		if err != nil {
			return fmt.Errorf("converting CRD %s: %w", crd.Name, err)
		}
		// Only the server writes status.
		delete(content, "status")
		object := &unstructured.Unstructured{Object: content}
		object.SetGroupVersionKind(crdKind)
		objects = append(objects, object)
	}
	if err := c.applyCRDs(ctx, objects); err != nil {
		return err
	}
	return c.syncStages(ctx)
}

func (c *Cluster) installCRDs(ctx context.Context, files fs.FS) error {
	objects, err := readObjects(files, strings.NewReplacer())
	if err != nil {
		return err
	}
	var crds []*unstructured.Unstructured
	for _, object := range objects {
		if object.GroupVersionKind() == crdKind {
			crds = append(crds, object)
		}
	}
	return c.applyCRDs(ctx, crds)
}

func (c *Cluster) applyCRDs(ctx context.Context, crds []*unstructured.Unstructured) error {
	// Server-side apply, because some CRDs exceed what fits the annotation of a client-side one.
	for _, crd := range crds {
		if err := c.apply(ctx, crd); err != nil {
			return err
		}
	}
	return c.wait(ctx, "CRDs to be served", func(ctx context.Context) error { return c.served(ctx, crds) })
}

// served is nil when all CRDs are Established, discovery lists them, and their OpenAPI schemas are published. The three
// happen one after the other, and clients (KWOK among them) depend on each.
func (c *Cluster) served(ctx context.Context, crds []*unstructured.Unstructured) error {
	list := &apiextensionsv1.CustomResourceDefinitionList{}
	unstructuredList := &unstructured.UnstructuredList{}
	unstructuredList.SetGroupVersionKind(crdKind)
	if err := c.client.List(ctx, unstructuredList); err != nil {
		return err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(unstructuredList.UnstructuredContent(), list); err != nil {
		return err
	}
	_, lists, err := c.kube.Discovery().ServerGroupsAndResources()
	if err != nil {
		return err
	}
	discovered := map[schema.GroupVersionResource]bool{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return err
		}
		for _, r := range list.APIResources {
			discovered[version.WithResource(r.Name)] = true
		}
	}
	documents, err := c.kube.Discovery().OpenAPIV3().Paths()
	if err != nil {
		return err
	}

	wanted := map[string]bool{}
	for _, crd := range crds {
		wanted[crd.GetName()] = true
	}
	var errs []error
	for _, crd := range list.Items {
		if !wanted[crd.Name] {
			continue
		}
		delete(wanted, crd.Name)
		if err := established(&crd); err != nil {
			errs = append(errs, err)
			continue
		}
		for _, v := range crd.Spec.Versions {
			gvr := schema.GroupVersionResource{Group: crd.Spec.Group, Version: v.Name, Resource: crd.Spec.Names.Plural}
			if !v.Served {
				continue
			}
			if !discovered[gvr] {
				errs = append(errs, fmt.Errorf("%s is not discovered yet", gvr))
			}
			if documents["apis/"+gvr.Group+"/"+gvr.Version] == nil {
				errs = append(errs, fmt.Errorf("%s has no OpenAPI document yet", gvr.GroupVersion()))
			}
		}
	}
	for name := range wanted {
		errs = append(errs, fmt.Errorf("CRD %s is gone", name))
	}
	return errors.Join(errs...)
}

func established(crd *apiextensionsv1.CustomResourceDefinition) error {
	for _, condition := range crd.Status.Conditions {
		switch {
		case condition.Type == apiextensionsv1.NamesAccepted && condition.Status == apiextensionsv1.ConditionFalse:
			// Another CRD has the names, which waiting does not change.
			return &permanentError{fmt.Errorf("CRD %s: %s", crd.Name, condition.Message)}
		case condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue:
			return nil
		}
	}
	return fmt.Errorf("CRD %s is not established yet", crd.Name)
}

// RemoveCRDs deletes CustomResourceDefinitions, and with them all their objects, and returns when they are gone, even if somebody has
// recreated them by then.
func (c *Cluster) RemoveCRDs(ctx context.Context, names ...string) error {
	crd := func(name string) *unstructured.Unstructured {
		crd := &unstructured.Unstructured{}
		crd.SetGroupVersionKind(crdKind)
		crd.SetName(name)
		return crd
	}
	deleted := map[string]types.UID{}
	for _, name := range names {
		object := crd(name)
		err := c.client.Get(ctx, client.ObjectKeyFromObject(object), object)
		if err == nil {
			deleted[name] = object.GetUID()
			err = c.client.Delete(ctx, object)
		}
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting CRD %s: %w", name, err)
		}
	}
	// The API server takes seconds over each, but for all at the same time.
	for _, name := range names {
		looked := time.Now()
		err := c.wait(ctx, "CRD "+name+" to be gone", func(ctx context.Context) error {
			object := crd(name)
			err := c.client.Get(ctx, client.ObjectKeyFromObject(object), object)
			if err != nil || object.GetUID() != deleted[name] {
				return client.IgnoreNotFound(err)
			}
			if time.Since(looked) > nudgeInterval {
				looked = time.Now()
				return errors.Join(errors.New("it is still there"), client.IgnoreNotFound(c.nudge(ctx, object)))
			}
			return errors.New("it is still there")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// nudgeInterval is how long the API server may say nothing of a CustomResourceDefinition that it deletes.
const nudgeInterval = 2 * time.Second

// nudge makes the API server look again at a CustomResourceDefinition that it deletes. The server begins at once, finds that the
// storage of a kind that nobody has read yet is not ready, and writes that to the status. It retries before its cache has that write,
// takes the conflict for somebody else's change, and then does nothing until its resync, every five minutes
// (sync and updateCustomResourceDefinition of crd_finalizer.go in k8s.io/apiextensions-apiserver).
func (c *Cluster) nudge(ctx context.Context, crd client.Object) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"example.com/looked-at":%q}}}`, time.Now().Format(time.RFC3339Nano))
	return c.client.Patch(ctx, crd, client.RawPatch(types.MergePatchType, []byte(patch)))
}
