package jupyterhub

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components/native"
)

// The software. k8s-hub 4.4.0 holds JupyterHub 5.5.0, KubeSpawner 7.0.0, OAuthenticator 17.4.0, NativeAuthenticator
// 1.3.0 and the idle culler 1.4.0; hack/python/jupyterhub.txt names the same versions for the tests.
const (
	version    = "5.5.0"
	hubImage   = "quay.io/jupyterhub/k8s-hub:4.4.0"
	proxyImage = "quay.io/jupyterhub/configurable-http-proxy:5.3.0"
)

// notebookTag of the Jupyter project's images: a day's build, which never changes.
const notebookTag = ":2026-07-28"

// defaultImages are offered when the spec names none.
// https://jupyter-docker-stacks.readthedocs.io/en/latest/using/selecting.html
var defaultImages = []v1alpha1.NotebookImage{
	{Name: "minimal", DisplayName: "Minimal", Description: "Python, git and LaTeX", Image: "quay.io/jupyter/minimal-notebook" + notebookTag},
	{Name: "scipy", DisplayName: "SciPy", Description: "Python with pandas, SciPy, scikit-learn, Dask and plotting", Image: "quay.io/jupyter/scipy-notebook" + notebookTag},
	{Name: "datascience", DisplayName: "Data science", Description: "As SciPy, with R and Julia", Image: "quay.io/jupyter/datascience-notebook" + notebookTag},
	{Name: "pytorch", DisplayName: "PyTorch", Description: "As SciPy, with PyTorch", Image: "quay.io/jupyter/pytorch-notebook" + notebookTag},
	{Name: "tensorflow", DisplayName: "TensorFlow", Description: "As SciPy, with TensorFlow", Image: "quay.io/jupyter/tensorflow-notebook" + notebookTag},
	{Name: "pyspark", DisplayName: "PySpark", Description: "As SciPy, with Apache Spark", Image: "quay.io/jupyter/pyspark-notebook" + notebookTag},
}

// gpuImages are offered as well where a size has GPUs.
var gpuImages = []v1alpha1.NotebookImage{
	{Name: "pytorch-gpu", DisplayName: "PyTorch with CUDA", Description: "As PyTorch, for NVIDIA GPUs", Image: "quay.io/jupyter/pytorch-notebook:cuda12-" + notebookTag[1:]},
	{Name: "tensorflow-gpu", DisplayName: "TensorFlow with CUDA", Description: "As TensorFlow, for NVIDIA GPUs", Image: "quay.io/jupyter/tensorflow-notebook:cuda-" + notebookTag[1:]},
}

// beakerxImage has the name by which people know notebooks in languages of the Java virtual machine. BeakerX itself ended in 2021 and
// does not run in today's JupyterLab.
var beakerxImage = v1alpha1.NotebookImage{
	Name: "beakerx", DisplayName: "Scala (JVM)", Description: "The Almond kernel, in place of BeakerX", Image: "docker.io/almondsh/almond:0.14.5",
}

func imagesFor(sizes []v1alpha1.NotebookSize) []v1alpha1.NotebookImage {
	images := slices.Clone(defaultImages)
	if slices.ContainsFunc(sizes, func(size v1alpha1.NotebookSize) bool { return size.GPUs > 0 }) {
		images = append(images, gpuImages...)
	}
	return append(images, beakerxImage)
}

// profile is what the spec's profile stands for.
type profile struct {
	hub, proxy     v1alpha1.Resources
	database, home resource.Quantity
	sizes          []v1alpha1.NotebookSize
}

// The hub and the proxy cannot be replicated, so the profiles differ in how many users one of each can take.
// JupyterHub's larger operators limit both to about 2Gi, after proxies ran out of memory at 300 users.
var (
	development = profile{
		hub:      native.Resources("50m", "256Mi", "", "1Gi"),
		proxy:    native.Resources("20m", "64Mi", "", "512Mi"),
		database: resource.MustParse("1Gi"),
		home:     resource.MustParse("2Gi"),
		sizes:    []v1alpha1.NotebookSize{size("small", "Small", native.Resources("50m", "256Mi", "1", "2Gi"))},
	}
	standard = profile{
		hub:      native.Resources("200m", "512Mi", "", "2Gi"),
		proxy:    native.Resources("50m", "128Mi", "", "1536Mi"),
		database: resource.MustParse("2Gi"),
		home:     resource.MustParse("10Gi"),
		sizes: []v1alpha1.NotebookSize{
			size("small", "Small", native.Resources("250m", "1Gi", "1", "2Gi")),
			size("medium", "Medium", native.Resources("500m", "2Gi", "2", "8Gi")),
			size("large", "Large", native.Resources("1", "8Gi", "4", "16Gi")),
		},
	}
	highAvailability = profile{
		hub:      native.Resources("500m", "1Gi", "", "4Gi"),
		proxy:    native.Resources("200m", "256Mi", "", "2Gi"),
		database: resource.MustParse("5Gi"),
		home:     resource.MustParse("20Gi"),
		sizes:    standard.sizes,
	}
)

func profileOf(name v1alpha1.Profile) profile {
	switch name {
	case v1alpha1.ProfileDevelopment:
		return development
	case v1alpha1.ProfileHighAvailability:
		return highAvailability
	default:
		return standard
	}
}

func size(name, displayName string, resources v1alpha1.Resources) v1alpha1.NotebookSize {
	return v1alpha1.NotebookSize{Name: name, DisplayName: displayName, Resources: resources}
}

func orList[T any](set, otherwise []T) []T {
	if len(set) == 0 {
		return otherwise
	}
	return set
}
