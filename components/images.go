package components

// Images are the images that the components choose themselves, by their names, see WithImages.
func Images(all []Component) map[string]string {
	named := map[string]string{}
	for _, component := range all {
		if chooses, ok := component.(WithImages); ok {
			named = Merge(named, chooses.Images())
		}
	}
	return named
}
