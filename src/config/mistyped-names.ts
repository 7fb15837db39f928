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
      return isNear(name.toUpperCase(), setting, few)
    })
    return meant === undefined ? [] : [{ name, meant }]
  })
}

/** Whether one text becomes the other by at most `edits`: a character inserted, deleted or replaced, or two swapped. */
function isNear (one: string, other: string, edits: number): boolean {
  if (one === other) return true
  const [rest, otherRest] = [one.slice(1), other.slice(1)]
  if (one[0] === other[0]) return isNear(rest, otherRest, edits)
  if (edits === 0) return false
  const isSwapped = one[0] === other[1] && one[1] === other[0]
  return isNear(rest, otherRest, edits - 1) || isNear(rest, other, edits - 1) || isNear(one, otherRest, edits - 1) ||
    (isSwapped && isNear(one.slice(2), other.slice(2), edits - 1))
}
