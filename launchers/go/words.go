package main

import "strings"

// splitWords splits a command as a POSIX shell splits words: quotes and backslashes, nothing else of a shell.
func splitWords(text string) ([]string, error) {
	var words []string
	for {
		text = strings.TrimLeft(text, " \t\r\n")
		if text == "" {
			return words, nil
		}
		word, rest, started, err := nextWord(text)
		if err != nil {
			return nil, err
		}
		if started {
			words = append(words, word)
		}
		text = rest
	}
}

// nextWord reads one word; started is false when there were only escaped line ends.
func nextWord(text string) (word, rest string, started bool, err error) {
	var out strings.Builder
	for at := 0; at < len(text); at++ {
		switch c := text[at]; c {
		case ' ', '\t', '\r', '\n':
			return out.String(), text[at:], started, nil
		case '\'':
			end := strings.IndexByte(text[at+1:], '\'')
			if end < 0 {
				return "", "", false, plainError("a single quote is open")
			}
			out.WriteString(text[at+1 : at+1+end])
			at, started = at+1+end, true
		case '"':
			used, ok := doubleQuoted(text[at+1:], &out)
			if !ok {
				return "", "", false, plainError("a double quote is open")
			}
			at, started = at+used, true
		case '\\':
			if at++; at == len(text) {
				return "", "", false, plainError("it ends with a backslash")
			}
			if text[at] != '\n' {
				out.WriteByte(text[at])
				started = true
			}
		default:
			out.WriteByte(c)
			started = true
		}
	}
	return out.String(), "", started, nil
}

// doubleQuoted reads up to the closing quote and returns how many bytes that took, the quote included.
func doubleQuoted(text string, out *strings.Builder) (used int, ok bool) {
	for at := 0; at < len(text); at++ {
		switch c := text[at]; {
		case c == '"':
			return at + 1, true
		case c == '\\' && at+1 < len(text):
			at++
			if strings.IndexByte("\"\\$`", text[at]) < 0 && text[at] != '\n' {
				out.WriteByte('\\')
			}
			if text[at] != '\n' {
				out.WriteByte(text[at])
			}
		default:
			out.WriteByte(c)
		}
	}
	return 0, false
}
