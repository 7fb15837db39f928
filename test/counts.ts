/** `npm run proof` sets it to 1, for all that is to be tried before a release; a larger number asks for so many times as much. */
const proof = Number(process.env.PROOF ?? 0)

/** How often something is tried: rather few times by `npm test`, so that it stays quick, else the full number. */
export function countOf ({ quick, full }: { quick: number, full: number }): number {
  return proof > 0 ? Math.ceil(full * proof) : quick
}
