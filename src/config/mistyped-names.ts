/** A shorter name is near to too many others: HOST and PORT have neighbours everywhere. */
const MIN_LENGTH = 7

/** From this length on two characters may differ: no common variable is that near to a long name. */
const LONG = 10

/** A variable that is probably a setting with a typing error. */
export interface MistypedName { readonly name: string, readonly meant: string }

/**
 * The variables that differ from a setting by one character, from a long one by two, or by case, if that setting is
 * not set. Others are left alone: the environment has those of many programs.
 */
export function findMistypedNames (variables: readonly string[], settings: readonly string[]): MistypedName[] {
  const candidates = settings.filter(setting => setting.length >= MIN_LENGTH && !variables.includes(setting))
  return variables.filter(name => !settings.includes(name)).flatMap(name => {
    const meant = candidates.find(setting => {
      const few = setting.length >= LONG ? 2 : 1
      return Math.abs(name.length - setting.length) <= few && distance(name.toUpperCase(), setting) <= few
    })
    return meant === undefined ? [] : [{ name, meant }]
  })
}

/** The number of characters to insert, delete or replace, or neighbours to swap (optimal string alignment). */
function distance (one: string, other: string): number {
  const rows = [Array.from({ length: other.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= one.length; row++) {
    const [before = [], above = []] = [rows.at(-2), rows.at(-1)]
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const isSame = one[row - 1] === other[column - 1]
      const isSwapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      current.push(Math.min(
        Number(above[column]) + 1,
        Number(current[column - 1]) + 1,
        Number(above[column - 1]) + (isSame ? 0 : 1),
        isSwapped ? Number(before[column - 2]) + 1 : Infinity
      ))
    }
    rows.push(current)
  }
  return Number(rows.at(-1)?.at(-1))
}
