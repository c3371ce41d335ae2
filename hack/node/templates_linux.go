package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/template"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/test/cluster"
)

func execute(name string, values any) ([]byte, error) {
	content, err := templates.ReadFile("templates/" + name)
	if err != nil {
		return nil, err
	}
	parsed, err := template.New(name).Option("missingkey=error").Parse(string(content))
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, values)
	return text.Bytes(), err
}

// render writes the files of a folder of templates to another one.
func (n *node) render(folder, to string) error {
	files, err := templates.ReadDir("templates/" + folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := execute(folder+"/"+file.Name(), n.values())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, file.Name()), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// apply applies the objects of a folder of templates.
func apply(ctx context.Context, kube client.Client, folder string, values any) error {
	files, err := templates.ReadDir("templates/" + folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := execute(folder+"/"+file.Name(), values)
		if err != nil {
			return err
		}
		if err := applyObjects(ctx, kube, file.Name(), bytes.NewReader(content)); err != nil {
			return err
		}
	}
	return nil
}

// applyObjects applies all objects of a text in YAML.
func applyObjects(ctx context.Context, kube client.Client, what string, text io.Reader) error {
	for object, err := range cluster.Objects(text) {
		if err != nil {
			return fmt.Errorf("reading %s: %w", what, err)
		}
		err := kube.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("opendatahub-node"), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}
