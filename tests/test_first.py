def test_upload(client):
    f = client.files.create(file=("a.txt", b"hello"), purpose="user_data")
    assert client.files.content(f.id).read() == b"hello"
    assert client.files.delete(f.id).deleted
