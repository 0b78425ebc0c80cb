"""The API of Hardwire: people sign in, chat, and run workflows in their chats. See README.md."""
