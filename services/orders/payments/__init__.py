"""The payment intents: from pressing pay to money that certainly moved or certainly did not."""
