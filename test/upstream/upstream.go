// Package upstream finds the real CustomResourceDefinitions of third-party operators, which not every checkout has.
package upstream

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Env names the folder that holds them, a subfolder per operator.
const Env = "UPSTREAM_CRDS"

// Folder is the folder that Env names, which must exist then, or shared/crds beside the checkout at root. It is empty when
// there is neither: what needs the definitions is then skipped, and says so.
func Folder(root string) (string, error) {
	if folder, demanded := os.LookupEnv(Env); demanded {
		if _, err := os.Stat(folder); err != nil {
			return "", fmt.Errorf("%s: %w", Env, err)
		}
		return folder, nil
	}
	folder := filepath.Join(filepath.Dir(root), "shared", "crds")
	_, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("looking for upstream definitions: %w", err)
	}
	return folder, nil
}
