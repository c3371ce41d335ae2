// Package documents reads the code that the documentation shows, so that tests can check and run it.
package documents

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Tutorial and Recording, in docs, are commands and what a terminal showed for them.
const (
	Tutorial  = "first-hour.md"
	Recording = "first-hour.txt"
)

// Block is a block of code in a document.
type Block struct {
	// Document is its file.
	Document string
	// Line is that of the first line of the code.
	Line int
	// Language is what follows the fence.
	Language string
	// Text is without the indentation of the fence.
	Text string
}

// String is where the block is.
func (b Block) String() string { return fmt.Sprintf("%s:%d", filepath.Base(b.Document), b.Line) }

// Files are the documents of the checkout at root.
func Files(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(files) < 2 {
		return nil, fmt.Errorf("finding the documents of %s: found %v: %w", root, files, err)
	}
	return append(files, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")), nil
}

// Blocks are the blocks of a language in the documents of the checkout at root. Without a language they are all.
func Blocks(root, language string) ([]Block, error) {
	files, err := Files(root)
	if err != nil {
		return nil, err
	}
	var found []Block
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a document: %w", err)
		}
		var open *Block
		indent, number := "", 0
		for text := range strings.Lines(string(content)) {
			number++
			trimmed := strings.TrimLeft(text, " ")
			switch {
			case !strings.HasPrefix(trimmed, "```"):
				if open != nil {
					open.Text += strings.TrimPrefix(text, indent)
				}
			case open == nil:
				indent = text[:len(text)-len(trimmed)]
				open = &Block{Document: file, Line: number + 1, Language: strings.TrimSpace(strings.TrimPrefix(trimmed, "```"))}
			default:
				if language == "" || open.Language == language {
					found = append(found, *open)
				}
				open = nil
			}
		}
		if open != nil {
			return nil, fmt.Errorf("the block of code at %s is not closed", open)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no document has a block of %s", language)
	}
	return found, nil
}

// Command is one of a recording.
type Command struct {
	// Text may have several lines.
	Text string
	// Code is its exit code.
	Code int
}

var exitCode = regexp.MustCompile(`^\(exit code (\d+)\)$`)

// ReadRecording reads what hack/record.sh wrote.
func ReadRecording(file string) ([]Command, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading a recording: %w", err)
	}
	var commands []Command
	typed := false
	for text := range strings.Lines(string(content)) {
		text = strings.TrimSuffix(text, "\n")
		line, begins := strings.CutPrefix(text, "$ ")
		more, goesOn := strings.CutPrefix(text, "> ")
		last := len(commands) - 1
		code := exitCode.FindStringSubmatch(text)
		switch {
		case begins:
			commands = append(commands, Command{Text: line})
		case typed && goesOn:
			commands[last].Text += "\n" + more
		case code != nil && last >= 0:
			if commands[last].Code, err = strconv.Atoi(code[1]); err != nil {
				return nil, fmt.Errorf("reading a recording: %w", err)
			}
		}
		typed = begins || typed && goesOn
	}
	return commands, nil
}
