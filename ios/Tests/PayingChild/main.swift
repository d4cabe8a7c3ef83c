import VirtualChannels
print("x")
