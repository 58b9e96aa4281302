"""The ledger: what this machine has started and sent, on every host, in one database under the home folder."""

from finetune_kit.ledger.cards import Cards
from finetune_kit.ledger.intents import Intent, Intents, IntentState
from finetune_kit.ledger.ledger import Ledger
from finetune_kit.ledger.place import Place
from finetune_kit.ledger.uploads import Journal, Upload, Uploads

__all__ = ["Cards", "Intent", "IntentState", "Intents", "Journal", "Ledger", "Place", "Upload", "Uploads"]
