// Package images makes container images without a container engine and without a registry: archives in the format of
// "docker save", with one layer, from a folder of files and the image settings of a Dockerfile.
package images

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
)

// Stage is one stage of a Dockerfile: what follows a FROM.
type Stage struct {
	From  string
	Name  string // "" where the stage has none
	Copy  []Copy
	Run   []string
	Image Settings
}

// Copy is a COPY instruction; Stage is "" where it copies from the build context.
type Copy struct{ Stage, From, To string }

// Settings are what an image says about the process it is for.
type Settings struct {
	User       string   `json:"User,omitempty"`
	Env        []string `json:"Env,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
	Cmd        []string `json:"Cmd,omitempty"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
}

// ParseDockerfile reads the instructions that this project's Dockerfiles use: FROM, COPY of one source, RUN, USER, ENV
// NAME=VALUE, WORKDIR, and ENTRYPOINT and CMD as JSON arrays. Any other is an error, so that a Dockerfile cannot say
// something that the lab's image would not have.
func ParseDockerfile(text string) ([]Stage, error) {
	var stages []Stage
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		keyword, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		if keyword == "FROM" {
			base, name, _ := strings.Cut(rest, " AS ")
			stages = append(stages, Stage{From: strings.TrimSpace(base), Name: strings.TrimSpace(name)})
			continue
		}
		if len(stages) == 0 {
			return nil, fmt.Errorf("line %d: %s comes before FROM", n, keyword)
		}
		if err := stages[len(stages)-1].read(keyword, rest); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if len(stages) == 0 {
		return nil, fmt.Errorf("no FROM")
	}
	return stages, lines.Err()
}

func (s *Stage) read(keyword, rest string) error {
	if strings.HasSuffix(rest, `\`) {
		return fmt.Errorf("%s %s: a line that goes on in the next is not understood; put the commands into a file", keyword, rest)
	}
	switch keyword {
	case "RUN":
		s.Run = append(s.Run, rest)
	case "USER":
		s.Image.User = rest
	case "WORKDIR":
		s.Image.WorkingDir = rest
	case "ENV":
		s.Image.Env = append(s.Image.Env, rest)
	case "COPY":
		var c Copy
		words := strings.Fields(rest)
		if from, ok := strings.CutPrefix(words[0], "--from="); ok {
			c.Stage, words = from, words[1:]
		}
		if len(words) != 2 || strings.HasPrefix(words[0], "--") {
			return fmt.Errorf("COPY %s: want one source and one destination", rest)
		}
		c.From, c.To = words[0], words[1]
		s.Copy = append(s.Copy, c)
	case "ENTRYPOINT":
		return jsonArray(keyword, rest, &s.Image.Entrypoint)
	case "CMD":
		return jsonArray(keyword, rest, &s.Image.Cmd)
	default:
		return fmt.Errorf("instruction %s is not understood", keyword)
	}
	return nil
}

func jsonArray(keyword, text string, into *[]string) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%s %s: want a JSON array of strings: %w", keyword, text, err)
	}
	return nil
}
