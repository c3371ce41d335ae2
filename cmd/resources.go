package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/api/validation"
)

// resourceFiles are the flags of commands that read OpenDataHub resources from files, without any cluster.
type resourceFiles struct {
	files     []string
	namespace string
}

// addTo defines the flags.
func (r *resourceFiles) addTo(command *cobra.Command) {
	flags := command.Flags()
	addFiles(command, &r.files)
	flags.StringVarP(&r.namespace, "namespace", "n", "default", "namespace of resources that do not say theirs")
	must(command.MarkFlagRequired("filename"))
}

// whole prints what write leaves in out when nothing is wrong, and nothing otherwise: what is piped to another command must not be a part.
func whole(command *cobra.Command, write func(out *bytes.Buffer) error) error {
	var out bytes.Buffer
	if err := write(&out); err != nil {
		return err
	}
	_, err := out.WriteTo(command.OutOrStdout())
	return err
}

// visit reads the resources of the files, and calls visit with each and with where it is. It returns all that is wrong.
func (r *resourceFiles) visit(stdin io.Reader, visit func(where string, odh *v1alpha1.OpenDataHub) []error) []error {
	platforms := map[string]string{} // namespace → resource
	var failed []error
	for _, file := range r.files {
		odhs, err := r.read(file, stdin)
		if err != nil {
			failed = append(failed, eachLine(file, err)...)
			continue
		}
		for _, odh := range odhs {
			where := fmt.Sprintf("%s: OpenDataHub %s/%s", file, odh.Namespace, odh.Name)
			if other, ok := platforms[odh.Namespace]; ok {
				failed = append(failed, fmt.Errorf("%s: one namespace holds one platform, and %s is in this one already", where, other))
				continue
			}
			platforms[odh.Namespace] = where
			failed = append(failed, visit(where, odh)...)
		}
	}
	return failed
}

// read reads the resources of one file.
func (r *resourceFiles) read(file string, stdin io.Reader) ([]*v1alpha1.OpenDataHub, error) {
	if file == "-" {
		return validation.Decode(stdin, r.namespace)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.Unwrap(err) // the file's name is put in front by the caller
	}
	return validation.Decode(bytes.NewReader(content), r.namespace)
}
