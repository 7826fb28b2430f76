package main

import (
	"os"
	"slices"
	"strconv"
)

// Service is what a package says about the service that it is (format.md, runtime.service). Times are seconds.
type Service struct {
	port         int64 // 0 = none
	restart      string
	stopTimeout  int64
	startTimeout int64
	restartDelay int64
	restartLimit int64    // failures in a row before the supervisor gives up
	entries      []string // that are services beside the default command
}

const longestSeconds = 86_400

// readService reads runtime.service; a package that is no service has none.
func (f *fields) readService(runtime *Value) *Service {
	v := f.object(runtime.get("service"), "runtime.service")
	if v.isNull() || !f.sealed {
		return nil
	}
	number := func(key string, least, most, missing int64) int64 {
		value := v.get(key)
		if value.isNull() {
			return missing
		}
		n, ok := value.uint()
		if !ok || n < uint64(least) || n > uint64(most) {
			f.bad("runtime.service."+key, "is not between "+itoa(least)+" and "+itoa(most))
			return missing
		}
		return int64(n)
	}
	service := &Service{
		port:         number("port", 1, 65_535, 0),
		restart:      f.text(v.get("restart"), "runtime.service.restart"),
		stopTimeout:  number("stop_timeout", 1, longestSeconds, 10),
		startTimeout: number("start_timeout", 1, longestSeconds, 30),
		restartDelay: number("restart_delay", 0, longestSeconds, 1),
		restartLimit: number("restart_limit", 1, longestSeconds, 10),
		entries:      f.texts(v.get("entries"), "runtime.service.entries"),
	}
	switch service.restart {
	case "on-failure", "always", "no":
	case "":
		service.restart = "on-failure"
	default:
		f.bad("runtime.service.restart", "is not on-failure, always or no")
	}
	return service
}

// instance is the name under which a command runs as a service: the package's for the default command, <package>@<entry> for an
// entry that is one too; "" for an ordinary program.
func (p *Plan) instance(command *Command) string {
	if p.service == nil {
		return ""
	}
	if words, err := p.defaultCommand(); command.entry == "" || err == nil && slices.Equal(words, command.words) {
		return p.name
	}
	for i := range p.entries {
		if entry := &p.entries[i]; slices.Contains(p.service.entries, entry.name) && slices.Equal(entry.argv, command.words) {
			return p.name + "@" + entry.name
		}
	}
	return ""
}

// servicePort is the port at this start: what SEALIFT_PORT says, else what PORT says, else the package's own; "" without one.
func (p *Plan) servicePort() (string, error) {
	if p.service == nil || p.service.port == 0 {
		return "", nil
	}
	if wanted := os.Getenv("SEALIFT_PORT"); wanted != "" {
		if port := portNumber(wanted); port != 0 {
			return itoa(port), nil
		}
		return "", fail("SERVICE_PORT", "actual", wanted)
	}
	if port := portNumber(os.Getenv("PORT")); port != 0 {
		return itoa(port), nil
	}
	return itoa(p.service.port), nil
}

func portNumber(text string) int64 {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return int64(port)
}
