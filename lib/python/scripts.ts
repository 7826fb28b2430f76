/**
 * Commands that the application's own wheel brings as files (`scripts` of setuptools, the program in a wheel of a compiled tool),
 * beside those that its entry points name.
 */
import type { Application } from "./application/application.ts";
import type { RuntimeSettings } from "./project/runtime-table.ts";
import { type Place, startCommand } from "./runtime/start.ts";
import { layoutOf } from "./runtime/target.ts";
import type { StagedWheel } from "./wheel/site.ts";

/** Their paths below the folder of programs, sorted. */
export function ownScripts(own: StagedWheel | undefined): string[] {
  const files = (own?.files ?? []).filter((file) => file.scheme === "scripts");
  return files.map((file) => file.path).sort();
}

/** Name → argument list: a script through the packed Python, anything else as the program that it is. */
export function scriptCommands(
  { collected, commands, choice, trees }: Application,
  place: Place,
  settings: RuntimeSettings,
): Record<string, string[]> {
  const layout = layoutOf(choice.target);
  const paths = new Set(trees.app.map((entry) => entry.path));
  const found: Record<string, string[]> = {};
  for (const path of ownScripts(collected.own)) {
    const name = layout.windows ? path.replace(/\.exe$/i, "") : path;
    if (commands.has(name) || name.includes("/")) continue;
    found[name] = paths.has(`libexec/${path}`)
      ? startCommand(place, layout, path, { ...settings, windowed: false })
      : [`${place.workenv}/${layout.scripts}/${path}`];
  }
  return found;
}
