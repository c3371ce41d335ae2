package inspect

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/images"
	"opendatahub.io/operator/controllers/serving"
	"opendatahub.io/operator/dependencies"
)

// ManagerDeployment is the Deployment of the operator's manager, and the name of its container.
const (
	ManagerDeployment = "opendatahub-operator"
	managerContainer  = "manager"
)

// Settings are what an administrator tells the manager, as far as rendering depends on it.
type Settings struct {
	// Namespace in which the operator runs.
	Namespace string
	// Image that it runs from.
	Image         string
	Images        images.Table
	UnsafePatches bool
	// Authorities signed the certificates with which it and its installer serve metrics.
	Authorities components.MetricsAuthorities
	// Unreadable is why the authorities are not known. Nil: they are.
	Unreadable error
}

// Settings reads them from the Deployment of the manager. Where there is none, as with a manager that runs outside of the cluster,
// they are the defaults. The caller learns with [apierrors.IsForbidden] that they may not be read.
func (r *Reader) Settings(ctx context.Context, namespace string) (Settings, error) {
	settings := Settings{Namespace: namespace}
	settings.Authorities, settings.Unreadable = r.authorities(ctx, namespace)
	deployment := &appsv1.Deployment{}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ManagerDeployment}, deployment)
	if err != nil {
		return settings, client.IgnoreNotFound(err)
	}
	pod := deployment.Spec.Template.Spec
	i := slices.IndexFunc(pod.Containers, func(container corev1.Container) bool { return container.Name == managerContainer })
	if i < 0 {
		return settings, fmt.Errorf("the Deployment %s/%s has no container %s", namespace, ManagerDeployment, managerContainer)
	}
	container := pod.Containers[i]
	environment, file := []string{}, ""
	for _, variable := range container.Env {
		environment = append(environment, variable.Name+"="+variable.Value)
		switch variable.Name {
		case "OPERATOR_IMAGE":
			settings.Image = variable.Value
		case "OPENDATAHUB_IMAGES":
			file = variable.Value
		}
	}
	if image, ok := argument(container.Args, "image"); ok {
		settings.Image = image
	}
	insecure, ok := argument(container.Args, "metrics-insecure")
	if address, _ := argument(container.Args, "metrics-bind-address"); address == "0" || ok && insecure != "false" {
		settings.Authorities.Operator = ""
	}
	unsafe, ok := argument(container.Args, "allow-unsafe-patches")
	settings.UnsafePatches = ok && unsafe != "false"
	if named, ok := argument(container.Args, "images"); ok {
		file = named
	}
	if file != "" {
		if settings.Images, err = r.table(ctx, namespace, file, container, pod.Volumes); err != nil {
			return settings, err
		}
	}
	settings.Images.Related, _, err = images.Related(environment, components.Images(r.all))
	return settings, err
}

// authorities are where the manager and its installer put them: the manager's in the Secret of its certificate, the installer's in its report.
func (r *Reader) authorities(ctx context.Context, namespace string) (components.MetricsAuthorities, error) {
	secret, report := &corev1.Secret{}, &corev1.ConfigMap{}
	err := errors.Join(
		client.IgnoreNotFound(r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: serving.SecretName(serving.Operator)}, secret)),
		client.IgnoreNotFound(r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: dependencies.ReportName}, report)),
	)
	return components.MetricsAuthorities{
		Operator:  string(secret.Data[serving.AuthorityKey]),
		Installer: string(report.BinaryData[dependencies.ReportAuthority]),
	}, err
}

// argument is the value of a flag, and whether it is there. A flag without a value, as one of yes and no, is there with the next argument.
func argument(arguments []string, flag string) (string, bool) {
	for i, argument := range arguments {
		name, value, has := strings.Cut(argument, "=")
		switch {
		case name != "--"+flag:
			continue
		case !has && i+1 < len(arguments):
			return arguments[i+1], true
		default:
			return value, true
		}
	}
	return "", false
}

// table reads the administrator's images from the ConfigMap that is mounted where the manager reads them.
func (r *Reader) table(ctx context.Context, namespace, file string, container corev1.Container, volumes []corev1.Volume) (images.Table, error) {
	for _, mount := range container.VolumeMounts {
		below, ok := strings.CutPrefix(path.Clean(file), path.Clean(mount.MountPath)+"/")
		i := slices.IndexFunc(volumes, func(volume corev1.Volume) bool { return volume.Name == mount.Name })
		if !ok || i < 0 || volumes[i].ConfigMap == nil {
			continue
		}
		key := below
		for _, item := range volumes[i].ConfigMap.Items {
			if item.Path == below {
				key = item.Key
			}
		}
		config := &corev1.ConfigMap{}
		if err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: volumes[i].ConfigMap.Name}, config); err != nil {
			if apierrors.IsForbidden(err) {
				return images.Table{}, err
			}
			return images.Table{}, fmt.Errorf("reading the images of the operator: %w", err)
		}
		table, err := images.ParseTable([]byte(config.Data[key]))
		if err != nil {
			return images.Table{}, fmt.Errorf("reading the images of the operator, key %s of ConfigMap %s/%s: %w", key, namespace, config.Name, err)
		}
		return table, nil
	}
	return images.Table{}, fmt.Errorf("the operator reads its images from %s, which is no ConfigMap: name the same table with --images", file)
}
