/** `npm run proof` sets it to 1 for the full number of repetitions; a larger number multiplies them. */
const proof = Number(process.env.PROOF ?? 0)

/** The number of repetitions: the full number in `npm run proof`, few where tap runs a file by itself. */
export function countOf ({ quick, full }: { quick: number, full: number }): number {
  return proof > 0 ? Math.ceil(full * proof) : quick
}
