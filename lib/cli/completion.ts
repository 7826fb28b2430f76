/**
 * Completion scripts. The words are written into the script, so completing starts no process; a new version of
 * sealift needs a new script.
 */
import { commands, isNoun, load } from "./commands.ts";
import { globalArgs } from "./globals.ts";
import { aliasesOf, optionsOf } from "./parse.ts";
import { leaves } from "./schemas.ts";

export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;
export type Shell = (typeof SHELLS)[number];

/** What may follow the words typed so far: `""` → commands, `trust` → verbs, `verify` → options. */
export type Words = Record<string, string[]>;

export async function completionScript(shell: Shell): Promise<string> {
  return TEMPLATES[shell](await completionWords());
}

/** Verbs and options by command, aliases included. */
export async function completionWords(): Promise<Words> {
  const words: Words = { "": [] };
  for (const [name, row] of Object.entries(commands)) {
    for (const one of [name, ...(row.alias ?? [])]) {
      words[""]?.push(one);
      if (isNoun(row)) words[one] = Object.keys(row.verbs);
    }
  }
  for (const [name, leaf] of leaves()) {
    const { args } = await load(leaf);
    const flags = optionsOf({ ...args, ...globalArgs }).flatMap(([flag, arg]) => [
      `--${flag}`,
      ...aliasesOf(arg).map((alias) => (alias.length === 1 ? `-${alias}` : `--${alias}`)),
    ]);
    const choices = Object.values(args).flatMap((arg) =>
      arg.type === "positional" ? (arg.options ?? []) : [],
    );
    for (const one of spellings(name)) words[one] = [...choices, ...flags];
  }
  return words;
}

/** `launchers list` and, with the alias of the noun, `helpers list`. */
function spellings(name: string): string[] {
  const [first = "", ...rest] = name.split(" ");
  return [first, ...(commands[first]?.alias ?? [])].map((one) => [one, ...rest].join(" "));
}

const TEMPLATES: Record<Shell, (words: Words) => string> = { bash, zsh, fish, powershell };

/** `case` arms `key) printf '%s\n' 'a b' ;;` that both POSIX-like shells read. */
function arms(words: Words): string {
  return Object.entries(words)
    .map(([key, list]) => `    "${key}") printf '%s' '${list.join(" ")}' ;;`)
    .join("\n");
}

function bash(words: Words): string {
  return `# bash completion of sealift: source it, or save it as sealift in the folder of bash-completion
_sealift_words() {
  case "$1" in
${arms(words)}
    *) return 1 ;;
  esac
}
_sealift() {
  local current="\${COMP_WORDS[COMP_CWORD]}" key="" word list
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] && continue
    _sealift_words "\${key:+$key }$word" >/dev/null && key="\${key:+$key }$word"
  done
  list=$(_sealift_words "$key")
  COMPREPLY=($(compgen -W "$list" -- "$current"))
}
complete -o default -F _sealift sealift`;
}

function zsh(words: Words): string {
  return `#compdef sealift
# zsh completion of sealift: save it as _sealift in a folder of $fpath
_sealift_words() {
  case "$1" in
${arms(words)}
    *) return 1 ;;
  esac
}
_sealift() {
  local key="" word
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ $word == -* ]] && continue
    _sealift_words "\${key:+$key }$word" >/dev/null && key="\${key:+$key }$word"
  done
  compadd -- \${=$(_sealift_words "$key")}
  _files
}
if [ "$funcstack[1]" = "_sealift" ]; then _sealift; else compdef _sealift sealift; fi`;
}

function fish(words: Words): string {
  const lines = Object.entries(words).flatMap(([key, list]) => {
    const [first, second] = key.split(" ");
    const plain = list.filter((word) => !word.startsWith("-"));
    const flags = list.filter((word) => word.startsWith("-"));
    const seen =
      first === ""
        ? "__fish_use_subcommand"
        : `__fish_seen_subcommand_from ${first}${second === undefined ? "" : `; and __fish_seen_subcommand_from ${second}`}`;
    return [
      ...(plain.length > 0 ? [`complete -c sealift -n '${seen}' -a '${plain.join(" ")}'`] : []),
      ...flags.map((flag) =>
        flag.startsWith("--")
          ? `complete -c sealift -n '${seen}' -l ${flag.slice(2)}`
          : `complete -c sealift -n '${seen}' -s ${flag.slice(1)}`,
      ),
    ];
  });
  return [
    "# fish completion of sealift: save it as ~/.config/fish/completions/sealift.fish",
    ...lines,
  ].join("\n");
}

function powershell(words: Words): string {
  const rows = Object.entries(words)
    .map(([key, list]) => `    '${key}' = '${list.join(" ")}'`)
    .join("\n");
  return `# PowerShell completion of sealift: add it to your $PROFILE
Register-ArgumentCompleter -Native -CommandName sealift -ScriptBlock {
  param($current, $ast, $position)
  $table = @{
${rows}
  }
  $key = ''
  foreach ($element in $ast.CommandElements | Select-Object -Skip 1) {
    $word = "$element"
    if ($word.StartsWith('-') -or $element.Extent.EndOffset -ge $position) { continue }
    $next = if ($key) { "$key $word" } else { $word }
    if ($table.ContainsKey($next)) { $key = $next }
  }
  $table[$key] -split ' ' | Where-Object { $_ -like "$current*" } |
    ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
}`;
}
