package cluster

import (
	"errors"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// undeclared is the text of the library that compares fields, which the API server passes on with code 500.
var undeclared = regexp.MustCompile(`\.(\S+): field not declared in schema`)

// Undeclared are the fields of which the API server says, in answer to server-side apply, that its CustomResourceDefinition lacks them, as in
// status.components[name="kafka"].credentialsUser. It is older than they are. There are none in any other error.
func Undeclared(err error) (fields []string) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return nil
	}
	for _, match := range undeclared.FindAllStringSubmatch(status.Status().Message, -1) {
		fields = append(fields, match[1])
	}
	return fields
}
