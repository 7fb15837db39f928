/* eslint no-irregular-whitespace: ['error', { skipTemplates: true }] -- French has a narrow space before : ; ! ? */
import type { FrameTexts } from './en-frame.ts'
import type { Tools } from './tools.ts'

/** The texts that both pages have, in French. */
export const frame = ({ visible, plural }: Tools<'fr'>): FrameTexts => ({
  language: 'fr',
  direction: 'ltr',
  title: 'MagicStore',
  close: 'Fermer',
  tryAgain: 'Réessayer',
  loading: 'Chargement…',
  networkProblem: 'Le serveur est injoignable. Vérifier la connexion, puis réessayer.',
  missingParts: {
    unreachable: 'Cette partie de la page n’a pas pu être chargée. Vérifier la connexion, puis réessayer.',
    outdated: 'Le serveur a une autre version de cette page.'
  },
  loadAgain: 'Recharger la page',
  problems: {
    name_invalid: 'Nom non valide',
    upload_incomplete: 'L’envoi a été interrompu',
    digest_mismatch: 'Le fichier n’est pas arrivé tel qu’il a été envoyé',
    not_found: 'Introuvable',
    request_timeout: 'Cela a pris trop de temps',
    precondition_failed: 'Il y a eu un changement entre-temps',
    name_taken: 'Un fichier ou un dossier porte déjà ce nom',
    file_too_large: 'Le fichier est trop gros',
    quota_exceeded: 'Il n’y a plus assez de place',
    link_limit_reached: 'Le lien n’accepte plus rien',
    extension_not_allowed: 'Le serveur n’accepte pas les fichiers de ce type',
    upload_taken_over: 'Une autre fenêtre envoie déjà ce fichier',
    upload_offset_mismatch: 'Une autre fenêtre envoie déjà ce fichier',
    file_locked: 'Un autre programme l’a verrouillé',
    file_damaged: 'Le fichier enregistré est endommagé',
    links_off: 'Les liens sont désactivés',
    too_many_requests: 'Trop de demandes',
    too_many_uploads: 'Il y a trop d’envois inachevés',
    too_many_transfers: 'Trop d’envois et de téléchargements à la fois',
    internal_error: 'Le serveur a eu un problème',
    stopping: 'Le serveur redémarre',
    overloaded: 'Le serveur est surchargé',
    unavailable: 'Le serveur n’atteint pas ses données',
    not_ready: 'Le serveur n’est pas prêt',
    storage_full: 'Le disque du serveur est plein'
  },
  problemHints: {
    name_invalid: 'Un nom ne peut être ni vide, ni « . » ou « .. », ni très long, et n’a ni barre oblique inversée ' +
      'ni caractère invisible.'
  },
  refused: (code: string) => `Le serveur a refusé (${code})`,
  unexpectedProblem: (status: number) => `Le serveur a répondu avec l’état ${status}.`,
  retryAfter: (wait: string) => `Réessayer dans ${wait}.`,
  sizeLimit: (size: string) => `Un fichier peut avoir au plus ${size}.`,
  extensions: (endings: string) => `Types acceptés : ${endings}.`,
  locked: (names: readonly string[]) => `${names.map(visible).join(', ')} ${plural(names.length, {
    one: 'est verrouillé', many: 'sont verrouillés', other: 'sont verrouillés'
  })}.`,
  remaining: (amount: string) => `Il reste de la place pour ${amount}.`,
  files: (count: number) => plural(count, { one: '# fichier', many: '# de fichiers', other: '# fichiers' }),
  invisible: 'Un caractère invisible',
  showPassword: 'Afficher le mot de passe'
})
