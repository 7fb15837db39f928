import type { FrameTexts } from './en-frame.ts'
import type { Tools } from './tools.ts'

/** The texts that both pages have, in German. */
export const frame = ({ visible, plural }: Tools<'de'>): FrameTexts => ({
  language: 'de',
  direction: 'ltr',
  title: 'MagicStore',
  close: 'Schließen',
  tryAgain: 'Nochmal versuchen',
  loading: 'Lädt …',
  networkProblem: 'Der Server ist nicht erreichbar. Bitte die Verbindung prüfen und es nochmal versuchen.',
  missingParts: {
    unreachable:
      'Dieser Teil der Seite konnte nicht geladen werden. Bitte die Verbindung prüfen und es nochmal versuchen.',
    outdated: 'Der Server hat eine andere Version dieser Seite.'
  },
  loadAgain: 'Seite neu laden',
  problems: {
    name_invalid: 'Ungültiger Name',
    upload_incomplete: 'Der Upload wurde unterbrochen',
    digest_mismatch: 'Die Datei kam nicht so an, wie sie gesendet wurde',
    not_found: 'Nicht gefunden',
    request_timeout: 'Es hat zu lange gedauert',
    precondition_failed: 'Es wurde inzwischen geändert',
    name_taken: 'Eine Datei oder ein Ordner mit diesem Namen ist schon da',
    file_too_large: 'Die Datei ist zu groß',
    quota_exceeded: 'Dafür ist kein Platz mehr',
    link_limit_reached: 'Der Link nimmt nichts mehr an',
    extension_not_allowed: 'Der Server nimmt keine Dateien mit dieser Endung an',
    upload_taken_over: 'Ein anderes Fenster lädt diese Datei gerade hoch',
    upload_offset_mismatch: 'Ein anderes Fenster lädt diese Datei gerade hoch',
    file_locked: 'Ein anderes Programm hat es gesperrt',
    file_damaged: 'Die gespeicherte Datei ist beschädigt',
    links_off: 'Links sind ausgeschaltet',
    too_many_requests: 'Zu viele Anfragen',
    too_many_uploads: 'Es gibt zu viele unfertige Uploads',
    too_many_transfers: 'Zu viele Uploads und Downloads auf einmal',
    internal_error: 'Auf dem Server ist etwas schiefgegangen',
    stopping: 'Der Server startet gerade neu',
    overloaded: 'Der Server ist gerade überlastet',
    unavailable: 'Der Server erreicht seinen Speicher nicht',
    not_ready: 'Der Server ist noch nicht bereit',
    storage_full: 'Die Festplatte des Servers ist voll'
  },
  problemHints: {
    name_invalid: 'Ein Name kann nicht leer, „.“ oder „..“ oder sehr lang sein und keinen umgekehrten Schrägstrich ' +
      'und keine unsichtbaren Zeichen enthalten.'
  },
  refused: (code: string) => `Der Server hat das abgelehnt (${code})`,
  unexpectedProblem: (status: number) => `Der Server hat mit dem Status ${status} geantwortet.`,
  retryAfter: (wait: string) => `Nochmal versuchen: in ${wait}.`,
  sizeLimit: (size: string) => `Eine Datei darf höchstens ${size} groß sein.`,
  extensions: (endings: string) => `Erlaubt sind: ${endings}.`,
  locked: (names: readonly string[]) =>
    `${names.map(visible).join(', ')} ${plural(names.length, { one: 'ist gesperrt', other: 'sind gesperrt' })}.`,
  remaining: (amount: string) => `Platz ist noch für ${amount}.`,
  files: (count: number) => plural(count, { one: '# Datei', other: '# Dateien' }),
  invisible: 'Ein unsichtbares Zeichen',
  showPassword: 'Passwort zeigen'
})
