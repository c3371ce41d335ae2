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

// hubFiles are the flags of commands that read OpenDataHub resources from files, without any cluster.
type hubFiles struct {
	files     []string
	namespace string
}

// addTo defines the flags.
func (h *hubFiles) addTo(command *cobra.Command) {
	flags := command.Flags()
	flags.StringSliceVarP(&h.files, "filename", "f", nil, "file with OpenDataHub resources, - for standard input; may be given several times")
	flags.StringVarP(&h.namespace, "namespace", "n", "default", "namespace of resources that do not say theirs")
	if err := command.MarkFlagRequired("filename"); err != nil {
		panic(err) // the flag is defined above
	}
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
func (h *hubFiles) visit(stdin io.Reader, visit func(where string, hub *v1alpha1.OpenDataHub) []error) []error {
	platforms := map[string]string{} // namespace → resource
	var failed []error
	for _, file := range h.files {
		hubs, err := h.read(file, stdin)
		if err != nil {
			failed = append(failed, eachLine(file, err)...)
			continue
		}
		for _, hub := range hubs {
			where := fmt.Sprintf("%s: OpenDataHub %s/%s", file, hub.Namespace, hub.Name)
			if other, ok := platforms[hub.Namespace]; ok {
				failed = append(failed, fmt.Errorf("%s: one namespace holds one platform, and %s is in this one already", where, other))
				continue
			}
			platforms[hub.Namespace] = where
			failed = append(failed, visit(where, hub)...)
		}
	}
	return failed
}

// read reads the resources of one file.
func (h *hubFiles) read(file string, stdin io.Reader) ([]*v1alpha1.OpenDataHub, error) {
	if file == "-" {
		return validation.Decode(stdin, h.namespace)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.Unwrap(err) // the file's name is put in front by the caller
	}
	return validation.Decode(bytes.NewReader(content), h.namespace)
}
