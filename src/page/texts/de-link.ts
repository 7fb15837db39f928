import { frame } from './de-frame.ts'
import type { LinkTexts } from './en-link.ts'
import type { Tools } from './tools.ts'

/** The texts of the page of a link, in German. */
export const texts = (tools: Tools<'de'>): LinkTexts => {
  const { visible, number, plural } = tools
  return {
    ...frame(tools),
    dead: 'Diesen Link gibt es nicht oder nicht mehr.',
    deadHint: 'Wer ihn geschickt hat, kann einen neuen schicken.',
    sharedBy: (owner: string) => `Geteilt von ${visible(owner)}`,
    requestedBy: (owner: string) => `Angefordert von ${visible(owner)}`,
    until: (time: string) => `Bis ${time}`,
    folder: 'Ordner',
    download: 'Herunterladen',
    downloadAll: 'Alles als Zip-Datei herunterladen',
    downloadOf: (name: string) => `${visible(name)} herunterladen`,
    downloadFailed: (name: string) => `Herunterladen fehlgeschlagen: ${visible(name)}.`,
    gone: 'Das ist nicht mehr da.',
    preview: 'Vorschau',
    previous: 'Vorige Datei',
    next: 'Nächste Datei',
    cut: (shown: string, whole: string) => `Die ersten ${shown} von ${whole}. Herunterladen, um alles zu sehen.`,
    brokenPreview: 'Der Browser kann diese Datei nicht anzeigen.',
    path: 'Pfad des Ordners',
    columns: { name: 'Name', size: 'Größe', changed: 'Geändert', actions: 'Aktionen' },
    emptyFolder: 'Dieser Ordner ist leer',
    missingFolder: 'Einen Ordner mit diesem Namen gibt es nicht',
    missingFolderHint: 'Vielleicht wurde er umbenannt, verschoben oder gelöscht.',
    toTop: 'Alles zeigen, was geteilt ist',
    password: {
      title: 'Dieser Link braucht ein Passwort',
      hint: 'Wer den Link geschickt hat, kennt es.',
      label: 'Passwort',
      submit: 'Link öffnen',
      wrong: 'Dieses Passwort ist falsch.',
      tooMany: 'Zu viele falsche Passwörter.'
    },
    request: {
      title: 'Dateien senden an',
      hint: 'Dateien hierher ziehen, einfügen oder auswählen. Was gesendet wird, sieht nur, wem der Link gehört.',
      choose: 'Dateien auswählen',
      dropHere: 'Zum Senden hier loslassen',
      left: (files: number, bytes: string) => `Noch Platz für ${plural(files, {
        one: '# Datei', other: '# Dateien'
      })} und ${bytes}`,
      noRoom: 'Für diese Datei ist kein Platz.',
      ownerFull: 'Im Speicher hinter diesem Link ist kein Platz für diese Datei.',
      full: 'Dieser Link nimmt keine Dateien mehr an.',
      foldersLeftOut: 'Ordner lassen sich nicht senden. Bitte die Dateien darin auswählen.',
      list: 'Ausgewählte Dateien',
      summary: (sent: number, all: number) =>
        `${number(sent)} von ${plural(all, { one: '# Datei gesendet', other: '# Dateien gesendet' })}`,
      failed: (count: number) => `${number(count)} fehlgeschlagen`,
      waiting: 'Wartet',
      sent: (size: string) => `Gesendet, ${size}`,
      running: (done: string, all: string) => `${done} von ${all}`,
      progressOf: (name: string) => `Fortschritt von ${visible(name)}`,
      finishing: 'Gleich fertig …',
      speed: (speed: string) => `${speed}/s`,
      timeLeft: (time: string) => `noch ${time}`,
      interrupted: (why: string) => `${why.replace(/[.]$/, '')}. Diese Datei geht von selbst weiter.`,
      cancel: (name: string) => `${visible(name)} abbrechen`,
      dismiss: (name: string) => `${visible(name)} aus der Liste nehmen`,
      again: 'Nochmal versuchen',
      tryAgain: (name: string) => `Nochmal versuchen: ${visible(name)}`,
      unreadable: 'Die Datei ist nicht mehr lesbar. Sie wurde geändert, verschoben oder gelöscht: bitte neu auswählen.',
      nameHint: 'Bitte die Datei umbenennen und neu auswählen.'
    },
    viewer: {
      details: 'Details',
      taken: 'Aufgenommen',
      camera: 'Kamera',
      place: 'Ort',
      cutTable: 'Nur die ersten Zeilen und Spalten. Herunterladen, um alles zu sehen.'
    }
  }
}
