package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/inspect"
)

// statusOptions are the flags of the status command.
type statusOptions struct {
	connection
	everywhere bool
	objects    bool
	watch      bool
	format     string
}

func statusCommand(all []components.Component) *cobra.Command {
	var options statusOptions
	command := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show what works of a platform, what does not and why, and where it is used",
		Long: `Show OpenDataHub resources as a tree: the platform, its components with their addresses and the Secrets that hold the logins,
and the objects that are not as they should be, each with its cause.

It reads with your own rights, and never the values of Secrets. What you may not read is said at the end.`,
		Example: `  opendatahub status
  opendatahub status -A
  opendatahub status odh -n opendatahub --watch
  opendatahub status -o json | jq '.[].components[] | select(.ready != "True")'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			return options.run(command.Context(), all, arguments, command.OutOrStdout())
		},
	}
	options.addTo(command)
	flags := command.Flags()
	flags.BoolVarP(&options.everywhere, "all-namespaces", "A", false, "the platforms of all namespaces")
	flags.BoolVar(&options.objects, "objects", false, "every object, not only those with a problem")
	flags.BoolVarP(&options.watch, "watch", "w", false, "show it again whenever the platform's status changes")
	addChoice(command, &options.format, "output", "o", "", "tree", "json")
	options.completesName(command)
	return command
}

func (o *statusOptions) run(ctx context.Context, all []components.Component, arguments []string, out io.Writer) error {
	namespace, name, err := o.which(arguments)
	if err != nil {
		return err
	}
	reader, discovery, err := o.open()
	if err != nil {
		return err
	}
	var changes watch.Interface
	if o.watch { // before the first look, so that no change is between them
		if changes, err = watchPlatforms(ctx, reader, namespace, name); err != nil {
			return err
		}
		defer changes.Stop()
	}
	last := ""
	for {
		platforms, err := inspect.New(reader, discovery, all).Platforms(ctx, namespace, name)
		if err != nil {
			return err
		}
		text, err := o.text(platforms, namespace, styleFor(out))
		if err != nil {
			return err
		}
		if text != last {
			if last != "" && isTerminal(out) {
				_, _ = io.WriteString(out, "\x1b[H\x1b[2J")
			}
			if _, err := io.WriteString(out, text); err != nil {
				return err
			}
			last = text
		}
		if !o.watch {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-changes.ResultChan():
			if !open {
				if changes, err = watchPlatforms(ctx, reader, namespace, name); err != nil {
					return err
				}
			}
		}
	}
}

// which is the namespace, empty for all, and the name, empty for every platform of it.
func (o *statusOptions) which(arguments []string) (namespace, name string, err error) {
	if len(arguments) > 0 {
		name = arguments[0]
	}
	if o.everywhere {
		if name != "" {
			return "", "", fmt.Errorf("%s: with --all-namespaces there is no name; use --namespace", name)
		}
		return "", "", nil
	}
	namespace, err = o.namespace()
	return namespace, name, err
}

// watchPlatforms tells of every change of the resources.
func watchPlatforms(ctx context.Context, reader client.WithWatch, namespace, name string) (watch.Interface, error) {
	options := []client.ListOption{client.InNamespace(namespace)}
	if name != "" {
		options = append(options, client.MatchingFields{"metadata.name": name})
	}
	return reader.Watch(ctx, &v1alpha1.OpenDataHubList{}, options...)
}

func (o *statusOptions) text(platforms []inspect.Platform, namespace string, style style) (string, error) {
	if o.format == "json" {
		content, err := json.MarshalIndent(platforms, "", "  ")
		return string(content) + "\n", err
	}
	var out bytes.Buffer
	if len(platforms) == 0 {
		if namespace == "" {
			out.WriteString("There is no OpenDataHub in this cluster.\n")
		} else {
			fmt.Fprintf(&out, "There is no OpenDataHub in namespace %s; --all-namespaces shows those of all.\n", namespace)
		}
	}
	for i := range platforms {
		if i > 0 {
			out.WriteString("\n")
		}
		writeTree(&out, &platforms[i], o.objects, style)
	}
	return out.String(), nil
}

// style colours words on terminals.
type style bool

func (s style) word(status metav1.ConditionStatus, reason string) string {
	word, colour := reason, "33" // yellow
	switch {
	case status == metav1.ConditionTrue:
		word, colour = "Ready", "32"
	case word == "":
		word = "Unknown"
	case reason != v1alpha1.ReasonProgressing:
		colour = "31"
	}
	return s.paint(word, colour)
}

func (s style) state(state components.State) string {
	colour := map[components.State]string{components.Ready: "32", components.Degraded: "31"}[state]
	if colour == "" {
		colour = "33"
	}
	return s.paint(string(state), colour)
}

func (s style) paint(word, colour string) string {
	if !s {
		return word
	}
	return "\x1b[" + colour + "m" + word + "\x1b[0m"
}

// styleFor colours on terminals only, and where https://no-color.org is not asked for.
func styleFor(out io.Writer) style { return style(isTerminal(out) && os.Getenv("NO_COLOR") == "") }

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// line is a line of the tree and what is below it.
type line struct {
	text  string
	below []line
}

func (l line) write(out *bytes.Buffer, first, rest string) {
	fmt.Fprintf(out, "%s%s\n", first, l.text)
	for i, below := range l.below {
		if i == len(l.below)-1 {
			below.write(out, rest+"└─ ", rest+"   ")
		} else {
			below.write(out, rest+"├─ ", rest+"│  ")
		}
	}
}

// writeTree writes a platform. What is well is short, and what is not has its cause below it.
func writeTree(out *bytes.Buffer, platform *inspect.Platform, everyObject bool, style style) {
	top := line{text: fmt.Sprintf("OpenDataHub %s/%s  %s", platform.Namespace, platform.Name, style.word(platform.Ready, platform.Reason))}
	if platform.ComponentsReady != "" {
		top.text += fmt.Sprintf("  %s components", platform.ComponentsReady)
	}
	for _, condition := range platform.Conditions {
		top.below = append(top.below, line{text: fmt.Sprintf("%s  %s: %s", condition.Type, style.word(condition.Status, condition.Reason), condition.Message)})
	}
	if platform.Ready != metav1.ConditionTrue && len(platform.Components) == 0 {
		top.below = append(top.below, line{text: platform.Message})
	}
	for i := range platform.Components {
		top.below = append(top.below, componentLine(&platform.Components[i], everyObject, style))
	}
	if storage := platform.ObjectStorage; storage != nil && storage.Endpoint != "" {
		below := line{text: fmt.Sprintf("object storage  %s, %s", storage.Endpoint, storage.Type)}
		for _, bucket := range storage.Buckets {
			below.below = append(below.below, line{text: strings.TrimSuffix(fmt.Sprintf("%s  %s, Secret %s", bucket.Purpose, bucket.Name, bucket.CredentialsSecret), ", Secret ")})
		}
		top.below = append(top.below, below)
	}
	if len(platform.Dependencies) > 0 {
		below := line{text: "third-party operators"}
		for _, dependency := range platform.Dependencies {
			text := fmt.Sprintf("%s  %s", dependency.Name, dependency.State)
			for _, more := range []string{dependency.Version, string(dependency.Source)} {
				if more != "" {
					text += ", " + more
				}
			}
			if dependency.State != v1alpha1.DependencyReady && dependency.Message != "" {
				text += ": " + dependency.Message
			}
			below.below = append(below.below, line{text: text})
		}
		top.below = append(top.below, below)
	}
	top.below = append(top.below, unreadLines(platform.Unread)...)
	top.write(out, "", "")
}

// unreadLines are one for each reason why kinds could not be read.
func unreadLines(unread []string) []line {
	var reasons []string
	ofReason := map[string][]string{}
	for _, text := range unread {
		kind, reason, _ := strings.Cut(text, ": ")
		if ofReason[reason] == nil {
			reasons = append(reasons, reason)
		}
		ofReason[reason] = append(ofReason[reason], kind)
	}
	var lines []line
	for _, reason := range reasons {
		slices.Sort(ofReason[reason])
		lines = append(lines, line{text: fmt.Sprintf("not shown: %s: %s", strings.Join(ofReason[reason], ", "), reason)})
	}
	return lines
}

func componentLine(component *inspect.Component, everyObject bool, style style) line {
	top := line{text: fmt.Sprintf("%s  %s", component.Name, style.word(component.Ready, component.Reason))}
	if component.Version != "" {
		top.text += "  " + component.Version
	}
	if component.Ready != metav1.ConditionTrue && component.Message != "" {
		top.below = append(top.below, line{text: component.Message})
	}
	for _, endpoint := range component.Endpoints {
		top.below = append(top.below, line{text: fmt.Sprintf("%s  %s", endpoint.Name, endpoint.URL)})
	}
	if component.CredentialsSecret != "" {
		login := "login  Secret " + component.CredentialsSecret
		if component.CredentialsUser != "" {
			login += ", user " + component.CredentialsUser
		}
		top.below = append(top.below, line{text: login})
	}
	well := 0
	for _, object := range component.Objects {
		if object.State == components.Ready && !everyObject {
			well++
			continue
		}
		text := fmt.Sprintf("%s %s  %s", object.Kind, object.Name, style.state(object.State))
		if object.Message != "" {
			text += ": " + object.Message
		}
		top.below = append(top.below, line{text: text})
	}
	if well > 0 {
		noun := "objects"
		if well == 1 {
			noun = "object"
		}
		top.below = append(top.below, line{text: fmt.Sprintf("%d %s in order", well, noun)})
	}
	return top
}
