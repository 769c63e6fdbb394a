"""What tests share: servers, nginx, the double of a model server, raw HTTP, files of all kinds."""
