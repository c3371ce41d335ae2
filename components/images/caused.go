package images

import (
	"slices"
	"strings"
)

// base is a reference without a tag or a digest, as the whole of a text or of what an argument sets: an operator adds the tag.
func base(text string) (before, repository string, ok bool) {
	if i := strings.LastIndexByte(text, '='); i >= 0 {
		before, text = text[:i+1], text[i+1:]
	}
	return before, text, slices.Equal(reference.FindStringIndex(text), []int{0, len(text)}) && !isImage(text)
}

// inParts is the image that fields of their own are for, as in custom resources of NVIDIA's operators.
func inParts(object map[string]any) (image string, ok bool) {
	var part [3]string
	for i, key := range []string{"repository", "image", "version"} {
		if part[i], ok = object[key].(string); !ok || part[i] == "" {
			return "", false
		}
	}
	separator := ":"
	if strings.HasPrefix(part[2], "sha256:") {
		separator = "@"
	}
	return part[0] + "/" + part[1] + separator + part[2], true
}

// withRegistry spells out what container runtimes assume of a short name.
func withRegistry(name string) string {
	host, _, path := strings.Cut(name, "/")
	switch {
	case !path:
		return "docker.io/library/" + name
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		return "docker.io/" + name
	default:
		return name
	}
}

// lists of containers, in which images may be short names.
var lists = []string{"containers", "initContainers", "ephemeralContainers"}

// Caused returns the images in an object of a third-party operator's chart, as JSON decodes it, with their registries: those of its
// containers, those in fields of their own, and all that Find finds. One may be returned several times.
func Caused(value any) []string {
	var found []string
	visit(value, false, func(image string) string {
		found = append(found, image)
		return image
	}, nil)
	return found
}

// ReplaceCaused is Replace for an object of a third-party operator's chart, which is changed. Short names in containers, images whose parts
// are in fields of their own, and repositories to which the operator adds the tag itself are replaced as well, the last by
// Registries only. ServiceAccounts get PullSecrets.
func (t Table) ReplaceCaused(object map[string]any) {
	if t.Empty() {
		return
	}
	visit(object, false, t.Image, t.Image)
	t.AddPullSecrets(object)
}

// visit puts what image returns in the place of each image, and what repository returns, unless it is nil, in the place of each
// repository.
func visit(value any, inContainers bool, image, repository func(string) string) any {
	switch value := value.(type) {
	case map[string]any:
		done := visitFields(value, inContainers, image)
		for key, below := range value {
			if !slices.Contains(done, key) {
				value[key] = visit(below, slices.Contains(lists, key), image, repository)
			}
		}
	case []any:
		for i, below := range value {
			value[i] = visit(below, inContainers, image, repository)
		}
	case string:
		if before, name, ok := base(value); ok && repository != nil {
			return before + repository(name)
		}
		return replace(value, image)
	}
	return value
}

// visitFields is visit for the image of a container, and for one in parts. It returns the keys that are done.
func visitFields(object map[string]any, inContainers bool, image func(string) string) (done []string) {
	if short, ok := object["image"].(string); ok && inContainers && short != "" {
		name := withRegistry(short)
		if replaced := image(name); replaced != name {
			object["image"] = replaced
		}
		return []string{"image"}
	}
	whole, ok := inParts(object)
	if !ok {
		return nil
	}
	replaced := image(whole)
	folder, rest := replaced[:strings.LastIndexByte(replaced, '/')], replaced[strings.LastIndexByte(replaced, '/')+1:]
	name, version, byDigest := strings.Cut(rest, "@")
	if !byDigest {
		name, version, _ = strings.Cut(rest, ":")
	}
	object["repository"], object["image"], object["version"] = folder, name, version
	return []string{"repository", "image", "version"}
}
