/** More would take a browser long to show. */
export const MAX_ROWS = 1000
const MAX_COLUMNS = 100

/** The first rows of a text, of which one more than the limit is known, as a table. `cut` says that it is not all. */
export function CsvTable ({ all, cut }: { all: readonly (readonly string[])[], cut: string }) {
  const [head = [], ...rows] = all.slice(0, MAX_ROWS).map(row => row.slice(0, MAX_COLUMNS))
  const isCut = all.length > MAX_ROWS || all.some(row => row.length > MAX_COLUMNS)
  return (
    <>
      {/* Its direction is not that of the table, which follows what it contains. */}
      {isCut && <p class='muted' dir='auto'>{cut}</p>}
      <table>
        <thead>
          {/* An empty cell is no header. */}
          <tr>{head.map((cell, key) => cell === '' ? <td key={key} /> : <th key={key} scope='col'>{cell}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row, index) => <tr key={index}>{row.map((cell, index) => <td key={index}>{cell}</td>)}</tr>)}
        </tbody>
      </table>
    </>
  )
}
