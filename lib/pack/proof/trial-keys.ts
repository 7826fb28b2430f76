/** The keys of encrypted slots in a trial: from variables of its own, because files and questions are for whoever starts the package. */
import type { PackageSlot, SlotInput } from "../../pspf/mod.ts";
import type { StagedSlot } from "../stage/stage.ts";

/** The slot encrypted as it is, with another place for its key. */
export function trialEncryption(
  { index, metadata }: PackageSlot,
  staged: StagedSlot[],
): Pick<SlotInput, "encryption"> {
  const encryption = staged[index]?.input.encryption;
  if (encryption === undefined || metadata.encryption === undefined) return {};
  const keySource = `env:${variable(index)}`;
  const parameters = { ...metadata.encryption, key_source: keySource };
  return { encryption: { keySource, key: encryption.key, parameters } };
}

/** Variables of the trial's launcher. Those that the package itself would ask for are gone, as they are for its program. */
export async function trialKeys(staged: StagedSlot[]): Promise<Record<string, string | undefined>> {
  const variables: Record<string, string | undefined> = {};
  for (const [i, { input }] of staged.entries()) {
    if (input.encryption === undefined) continue;
    const { kind, bytes } = await input.encryption.key();
    variables[variable(i)] = kind === "key" ? bytes.toHex() : new TextDecoder().decode(bytes);
    const own = /^env:(.*)$/.exec(input.encryption.keySource)?.[1];
    if (own !== undefined) variables[own] = undefined;
  }
  return variables;
}

function variable(index: number): string {
  return `SEALIFT_TRIAL_KEY_${index}`;
}
