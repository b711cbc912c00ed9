# Rotation of the keys that sign tokens, by a reload: old tokens go on, new
# ones are signed by the new key, and those of a removed key are refused.

use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(decode_base64url);
use Ticket::Test;
use Ticket::Http::Jar;
use Ticket::Nginx;
use Ticket::Redis;

my $file = temp_dir() . '/rotated.keys';
my %secret = map { $_ => join '', map { sprintf '%02x', rand 256 } 1 .. 32 } 1, 2;

# The keys of these ids, the first of which signs.
sub write_keys {
    my (@ids) = @_;
    open my $fh, '>', "$file.new" or die "$file.new: $!\n";
    chmod 0600, "$file.new" or die "$file.new: $!\n";
    print {$fh} map { "$_ $secret{$_}\n" } @ids;
    close $fh or die "$file.new: $!\n";
    rename "$file.new", $file or die "$file: $!\n";
    return;
}

write_keys(1);
my $redis = Ticket::Redis->new(dir => temp_dir());
my $nginx = Ticket::Nginx->new(redis => $redis, http => <<"END");
    ticket_redis unix:%%REDIS%%;
    ticket_zone  rooms:4m interval=50ms;
    ticket_keys  $file;
    ticket_room  full { slots 1; session 1h; claim 1h; liveness 1h; early_polls allow; }
    server {
        listen unix:%%SOCK%%;
        location = /queue { ticket_queue full; }
        location = /gate  { ticket_gate full; empty_gif; }
        location = /local { ticket_gate full check=local; empty_gif; }
    }
END

sub ask {
    my ($method, $path, $jar) = @_;
    return $nginx->http({method => $method, path => $path, jar => $jar});
}

sub join_line {
    my $jar = Ticket::Http::Jar->new;
    my $answer = ask('POST', '/queue', $jar);
    $answer->{status} == 201 or die "join: $answer->{status}\n";
    return $jar;
}

# The id of the key that signed the visitor's only token.
sub key_of {
    my ($jar) = @_;
    my ($name) = $jar->names;
    return unpack 'x2 n', decode_base64url($jar->get($name));
}

my %visitor;

subtest 'one key' => sub {
    $visitor{in1}    = join_line();
    $visitor{waits1} = join_line();
    is key_of($visitor{$_}), 1, "$_ has a token of key 1" for qw(in1 waits1);
};

subtest 'a new key on top' => sub {
    write_keys(2, 1);
    is_deeply [$nginx->reload], [], 'reload';
    is ask('GET', '/queue', $visitor{waits1})->{json}{number}, 2, 'the old queue token goes on';
    is ask('GET', '/queue', $visitor{in1})->{json}{number}, 1, 'and the old pass';
    is ask('GET', $_, $visitor{in1})->{status}, 200, "at $_, too" for qw(/gate /local);
    $visitor{waits2} = join_line();
    is key_of($visitor{waits2}), 2, 'a new token is of key 2';
    is ask('GET', '/queue', $visitor{waits2})->{json}{number}, 3, 'with the next number';
    is ask('DELETE', '/queue', $visitor{in1})->{status}, 204, 'the first leaves';
    eventually { ask('POST', '/queue', $visitor{waits1})->{json}{state} eq 'admitted' } 5, 'an old queue token is called';
    is key_of($visitor{waits1}), 2, 'and gives a pass of key 2';
    is ask('GET', '/gate', $visitor{waits1})->{status}, 200, 'that is good';
};

subtest 'a refused key file changes nothing' => sub {
    chmod 0644, $file or die "chmod: $!\n";
    eval { $nginx->reload };
    like $@, qr/reload refused: .*"ticket_keys" cannot use "\Q$file\E": everybody may read it/, 'reload is refused';
    $nginx->expect_log(qr/"ticket_keys" cannot use "\Q$file\E": everybody may read it/);
    chmod 0600, $file or die "chmod: $!\n";
    is ask('GET', '/queue', $visitor{waits2})->{json}{number}, 3, 'the running keys go on';
    is key_of(join_line()), 2, 'and sign';
};

subtest 'the old key removed' => sub {
    write_keys(1);
    is_deeply [$nginx->reload], [], 'key 1 alone, reload';
    my $old = join_line();
    write_keys(2);
    is_deeply [$nginx->reload], [], 'key 2 alone, reload';
    my $queue = $old->get('ticket-queue-full');
    my $answer = ask('GET', '/queue', $old);
    is $answer->{status}, 403, 'a token of key 1 is refused';
    is $answer->{json}{code}, 'bad_token', 'as bad';
    is_deeply [$old->names], [], 'and its cookie cleared';
    for my $method (qw(GET POST DELETE)) {
        is $nginx->http($method, '/queue', {'X-Ticket-Queue' => $queue})->{json}{code}, 'bad_token', "$method in a header";
    }
    is $nginx->http('GET', '/gate', {'X-Ticket-Queue' => $queue})->{status}, 403, 'at the gate';
    is ask('GET', '/queue', $visitor{waits2})->{json}{number}, 3, 'a token of key 2 goes on';
    is ask('GET', $_, $visitor{waits1})->{status}, 200, "a pass of key 2, too: $_" for qw(/gate /local);
};

subtest 'the same id with another secret' => sub {
    my ($pass, $queue) = ($visitor{waits1}->get('ticket-pass-full'), $visitor{waits2}->get('ticket-queue-full'));
    $secret{2} = reverse $secret{2};
    write_keys(2);
    is_deeply [$nginx->reload], [], 'reload';
    is $nginx->http('GET', '/queue', {'X-Ticket-Queue' => $queue})->{json}{code}, 'bad_token', 'a queue token is refused';
    is $nginx->http('GET', '/queue', {'X-Ticket-Pass' => $pass})->{json}{code}, 'bad_token', 'a pass is refused';
    is $nginx->http('GET', $_, {'X-Ticket-Pass' => $pass})->{status}, 403, "at $_, too" for qw(/gate /local);
};

is scalar(grep { index($nginx->error_log, substr $_, 0, 8) >= 0 } values %secret), 0, 'no secret in error.log';

done_testing;
