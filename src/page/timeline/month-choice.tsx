import type { Month } from 'magicstore'
import { formatNumber, locale } from '../format.ts'
import { texts } from '../later-texts.ts'

interface MonthChoiceProps {
  months: readonly Month[]
  /** The month that is in view. */
  current: string | undefined
  onChoose: (month: string) => void
}

/** The years at the side, and the months of that which is in view. */
export function MonthRail ({ months, current, onChoose }: MonthChoiceProps) {
  return (
    <nav class='months' aria-label={texts.timeline.months}>
      <ul>
        {months.filter((month, index) => yearOf(month) !== yearOf(months[index - 1])).map(newest => (
          <li key={newest.month}>
            <button type='button' class='quiet year' onClick={() => onChoose(newest.month)}>{yearOf(newest)}</button>
            {yearOf(newest) === current?.slice(0, YEAR_LENGTH) && (
              <ul>
                {months.filter(month => yearOf(month) === yearOf(newest)).map(month => (
                  <li key={month.month}>
                    <button
                      type='button' class='quiet' aria-label={labelOf(month)} title={monthName(month.month)}
                      aria-current={month.month === current} onClick={() => onChoose(month.month)}
                    >
                      {shortName(month.month)}
                    </button>
                  </li>
                ))}
              </ul>
            )}
          </li>
        ))}
      </ul>
    </nav>
  )
}

/** The same where there is no room at the side. */
export function MonthSelect ({ months, current, onChoose }: MonthChoiceProps) {
  return (
    <select
      class='month-select' aria-label={texts.timeline.months} value={current}
      onChange={event => onChoose(event.currentTarget.value)}
    >
      {months.map(month => <option key={month.month} value={month.month}>{monthName(month.month)}</option>)}
    </select>
  )
}

const YEAR_LENGTH = 4

function yearOf (month: Month | undefined): string | undefined {
  return month?.month.slice(0, YEAR_LENGTH)
}

/** It contains the visible text. */
function labelOf (month: Month): string {
  return `${shortName(month.month)} ${yearOf(month)} (${formatNumber(month.files)})`
}

/** A month such as `2024-07` in words. */
export function monthName (month: string): string {
  return new Date(`${month}-01`).toLocaleDateString(locale, { year: 'numeric', month: 'long', timeZone: 'UTC' })
}

function shortName (month: string): string {
  return new Date(`${month}-01`).toLocaleDateString(locale, { month: 'short', timeZone: 'UTC' })
}
