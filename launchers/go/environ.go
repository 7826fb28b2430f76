package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Environ is an environment with each name once, in a stable order. Windows ignores case in names.
type Environ struct {
	names  []string
	values map[string]string // by key(name)
}

func key(name string) string {
	if runtime.GOOS == "windows" {
		return strings.ToUpper(name)
	}
	return name
}

// newEnviron reads a list of NAME=value; of two equal names the first counts, as it does for getenv.
func newEnviron(list []string) *Environ {
	e := &Environ{names: make([]string, 0, len(list)+16), values: make(map[string]string, len(list)+16)}
	for _, pair := range list {
		// Windows has hidden names that begin with "=".
		cut := strings.IndexByte(pair[min(1, len(pair)):], '=')
		if cut < 0 {
			continue
		}
		name, value := pair[:cut+1], pair[cut+2:]
		if _, twice := e.values[key(name)]; !twice {
			e.set(name, value)
		}
	}
	return e
}

func (e *Environ) set(name, value string) {
	if _, known := e.values[key(name)]; !known {
		e.names = append(e.names, name)
	}
	e.values[key(name)] = value
}

func (e *Environ) get(name string) string { return e.values[key(name)] }

func (e *Environ) has(name string) bool {
	_, known := e.values[key(name)]
	return known
}

func (e *Environ) remove(name string) {
	if !e.has(name) {
		return
	}
	delete(e.values, key(name))
	for i, n := range e.names {
		if key(n) == key(name) {
			e.names = append(e.names[:i], e.names[i+1:]...)
			return
		}
	}
}

func (e *Environ) list() []string {
	out := make([]string, 0, len(e.names))
	for _, name := range e.names {
		out = append(out, name+"="+e.values[key(name)])
	}
	return out
}

// alwaysPassed are variables that Windows programs cannot start without.
var alwaysPassed = []string{"SYSTEMROOT", "WINDIR", "TEMP", "TMP", "PATHEXT", "COMSPEC"}

// buildEnviron makes the program's environment in the order of the contract: the parent's by the rules of runtime.env, then
// workenv.env, execution.env, the launcher's own variables, and <workenv>/bin in front of PATH.
func buildEnviron(scope *Scope, start *Start) (*Environ, error) {
	plan := scope.pkg.plan
	env := newEnviron(os.Environ())
	env.remove("SEALIFT_LAUNCHER_CLI")
	env.remove("FLAVOR_LAUNCHER_CLI")
	env.removeKeys(plan)
	env.applyRuntime(&plan.runtimeEnv)
	for _, pairs := range [][]Pair{plan.runtimeEnv.set, plan.workenvEnv, plan.executionEnv} {
		for _, pair := range pairs {
			value, err := scope.fill(pair.value)
			if err != nil {
				return nil, err
			}
			env.set(pair.name, value)
		}
	}
	if scope.port != "" {
		env.set("PORT", scope.port)
		env.set("SEALIFT_PORT", scope.port)
	}
	for _, pair := range []Pair{
		{"SEALIFT_WORKENV", scope.env.root}, {"SEALIFT_PACKAGE", plan.name}, {"SEALIFT_VERSION", plan.version},
		{"SEALIFT_SELF", scope.self}, {"FLAVOR_WORKENV", scope.env.root},
		{"FLAVOR_COMMAND_NAME", filepath.Base(start.file)}, {"FLAVOR_ORIGINAL_COMMAND", start.name},
	} {
		env.set(pair.name, pair.value)
	}
	path := filepath.Join(scope.env.root, "bin")
	if old := env.get("PATH"); old != "" {
		path += string(os.PathListSeparator) + old
	}
	env.set("PATH", path)
	return env, nil
}

// applyRuntime unsets and renames; variables that pass preserves survive both.
func (e *Environ) applyRuntime(rules *RuntimeEnv) {
	if len(rules.unset) > 0 {
		for _, name := range append([]string(nil), e.names...) {
			if matchesAny(rules.unset, name) && !rules.preserves(name) {
				e.remove(name)
			}
		}
	}
	for _, rename := range rules.renames {
		if e.has(rename.name) && !rules.preserves(rename.name) {
			value := e.get(rename.name)
			e.remove(rename.name)
			e.set(rename.value, value)
		}
	}
}

func (r *RuntimeEnv) preserves(name string) bool {
	return matchesAny(r.pass, name) || (runtime.GOOS == "windows" && matchesAny(alwaysPassed, name))
}

func matchesAny(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if glob(key(pattern), key(name)) {
			return true
		}
	}
	return false
}

// glob matches "*" and "?" against bytes, in time proportional to both lengths multiplied.
func glob(pattern, name string) bool {
	star, mark := -1, 0
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p, n = p+1, n+1
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
