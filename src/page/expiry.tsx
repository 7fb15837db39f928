import { useId, useState } from 'preact/hooks'

const days = { '1 day': 1, '7 days': 7, '30 days': 30, '90 days': 90, year: 365 } as const

const DAY_MS = 24 * 3600 * 1000

/** When something expires: after some time, at the end of a date, or never. */
export type Lifetime = keyof typeof days | 'date' | 'never'

/** How many days a lifetime has; undefined if it is not a number of days. */
export function daysOf (lifetime: string): number | undefined {
  return days[lifetime as keyof typeof days]
}

/** The time of the expiry; null for never. `date` is the last day in the user's time zone, such as `2027-01-31`. */
export function expiryOf (lifetime: Lifetime, date: string, now: Date): string | null {
  if (lifetime === 'never') return null
  if (lifetime === 'date') return new Date(`${date}T23:59:59`).toISOString()
  // A second less, because the clock of the server may be behind, and it may allow no longer lifetime.
  return new Date(now.getTime() + days[lifetime] * DAY_MS - 1000).toISOString()
}

interface ExpiryFieldProps<Choice extends string> {
  words: { readonly expiry: string, readonly lastDay: string, readonly neverHint?: string }
  choices: readonly (readonly [choice: Choice, label: string])[]
  first: Choice
}

/** A choice of lifetimes, called `lifetime` in its form, with a field `date` for the choice `date`. */
export function ExpiryField<Choice extends string> ({ words, choices, first }: ExpiryFieldProps<Choice>) {
  const id = useId()
  const [lifetime, setLifetime] = useState<string>(first)
  return (
    <div class='field'>
      <label for={id}>{words.expiry}</label>
      <select id={id} name='lifetime' value={lifetime} onChange={event => setLifetime(event.currentTarget.value)}>
        {choices.map(([choice, label]) => <option key={choice} value={choice}>{label}</option>)}
      </select>
      {lifetime === 'date' && <input type='date' name='date' required aria-label={words.lastDay} />}
      {lifetime === 'never' && words.neverHint !== undefined && <p class='hint'>{words.neverHint}</p>}
    </div>
  )
}
