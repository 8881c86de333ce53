"""Pictures the server draws: QR codes and the previews of links."""
